"""The commands that make candidates files: collect, import."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon import cli, collection, models
from swift_bon.cli.options import Json, Model, Samples, Seed
from swift_bon.cli.terminal import readable_errors
from swift_bon.models.names import EMBEDDED_NAME

Task = Annotated[
    str,
    typer.Option(
        help="basics, gsm8k, math, aqua_rat, hellaswag, coin_flip, code_comprehension or own."
    ),
]
Split = Annotated[str, typer.Option(help="train, test or all.")]
Grader = Annotated[
    str | None,
    typer.Option(
        help="math, letter, boolean, literal, text or module:function, also of this folder."
    ),
]


def collect(
    path: Annotated[Path, typer.Argument(help="JSON lines to write; resumed if it exists.")],
    task: Task = "basics",
    split: Split = "train",
    data: Annotated[
        Path | None, typer.Option(help="A file with the task's questions, in place of the hub.")
    ] = None,
    grader: Grader = None,
    limit: Annotated[int | None, typer.Option(help="Only the first questions.")] = None,
    num_return_sequences: Samples = 8,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Longest response, in tokens; by the task.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the sampling; 1.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus sampling; 1, all tokens.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Likeliest tokens sampled from; 50.")] = None,
    batch_size: Annotated[int, typer.Option(help="Candidates at a time.")] = 64,
    seed: Seed = 0,
    model: Model = EMBEDDED_NAME,
    head: Annotated[
        str | None, typer.Option(help="Store this head's score with each candidate.")
    ] = None,
    confidence_window: Annotated[
        int | None, typer.Option(help="Tokens of a group of DeepConf; by max_new_tokens.")
    ] = None,
    token_scores: Annotated[
        bool, typer.Option(help="Store the head's reward and gate of each token.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Sample candidates for the questions of a task, grade them, and store them."""
    sampling: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
    }
    sys.path.append("")  # a grader of one's own may lie in this folder
    with readable_errors():
        loaded_head = None if head is None else models.load_head(head, model_name=model)
        loaded_model, tokenizer = models.load_model(model)
        prompts = collection.collect(
            loaded_model,
            tokenizer,
            path,
            task=task,
            split=split,
            data=data,
            grader=grader,
            limit=limit,
            num_return_sequences=num_return_sequences,
            head=loaded_head,
            batch_size=batch_size,
            seed=seed,
            confidence_window=confidence_window,
            token_scores=token_scores,
            **{name: value for name, value in sampling.items() if value is not None},
        )
    num_right = sum(c.correct for prompt in prompts for c in prompt.candidates)
    num_candidates = sum(len(prompt.candidates) for prompt in prompts)
    record = {
        "path": str(path),
        "num_prompts": len(prompts),
        "num_candidates": num_candidates,
        "random": num_right / num_candidates,
    }
    cli.output.print_record(record, as_json)


def import_rollouts(
    source: Annotated[Path, typer.Argument(help="Rollouts of the paper's scripts, JSON.")],
    path: Annotated[Path, typer.Argument(help="The candidates file to write.")],
    model: Annotated[str, typer.Option(help="That wrote them: a hub id or a path.")],
    task: Annotated[str, typer.Option(help="Any name; the grader of a known task reads answers.")],
    split: Split = "train",
    instruction: Annotated[
        str, typer.Option(help="What stood before each prompt when the model was asked.")
    ] = "",
    grader: Grader = None,
    end_token_id: Annotated[
        int | None, typer.Option(help="Ends a turn; by default the tokenizer's eos_token_id.")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Of the sampling: as many tokens were cut off.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a candidates file of the paper's rollouts. Needs the model's tokenizer alone."""
    sys.path.append("")  # a grader of one's own may lie in this folder
    with readable_errors():
        report = collection.import_rollouts(
            source,
            path,
            models.load_tokenizer(model),
            model=model,
            task=task,
            split=split,
            instruction=instruction,
            grader=grader,
            end_token_id=end_token_id,
            max_new_tokens=max_new_tokens,
        )
    cli.output.print_record({"path": str(path), **report._asdict()}, as_json)
