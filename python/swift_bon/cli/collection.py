"""The commands that make candidates files: collect, import."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon import cli, collection, models
from swift_bon.cli.options import (
    Json,
    Model,
    Progress,
    Samples,
    Seed,
    TemplateArguments,
    parse_arguments,
)
from swift_bon.cli.terminal import readable_errors
from swift_bon.models.names import EMBEDDED_NAME

Task = Annotated[
    str,
    typer.Option(
        help="Task whose questions are asked: basics, gsm8k, math, aqua_rat, hellaswag, coin_flip, "
        "code_comprehension or own."
    ),
]
Split = Annotated[str, typer.Option(help="Split of the task: train, test or all.")]
Grader = Annotated[
    str | None,
    typer.Option(
        help="Grader of the answers: math, letter, boolean, literal, text, or module:function, "
        "also of this folder; the task's own if left out."
    ),
]


@readable_errors()
def collect(
    path: Annotated[
        Path, typer.Argument(help="Candidates file to write; one that a killed run left goes on.")
    ],
    task: Task = "basics",
    split: Split = "train",
    data: Annotated[
        Path | None,
        typer.Option(
            help="File with the task's questions, JSON lines or one JSON list; those of the hub "
            "if left out."
        ),
    ] = None,
    grader: Grader = None,
    limit: Annotated[
        int | None, typer.Option(help="Ask only so many questions, the first; all if left out.")
    ] = None,
    num_return_sequences: Samples = 8,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="Most tokens that a candidate may have; if left out 24 for basics and 1024 for "
            "the other tasks."
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Temperature of the sampling: above 1 more varied, below 1 less; 1.0 if left out."
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            help="Sample from the likeliest tokens that hold this share of the probability; 1.0, "
            "all of them, if left out."
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(help="Sample from so many of the likeliest tokens; 50 if left out."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Candidates written at a time.")] = 64,
    seed: Seed = 0,
    model: Model = EMBEDDED_NAME,
    head: Annotated[
        str | None,
        typer.Option(
            help="Store this head's score with each candidate: a folder, a hub id or the name of "
            "one that ships; no score is stored if left out."
        ),
    ] = None,
    confidence_window: Annotated[
        int | None,
        typer.Option(
            help="Tokens in a group, for DeepConf's scores; an eighth of the most tokens, from 8 "
            "to 2048, if left out."
        ),
    ] = None,
    token_scores: Annotated[
        bool, typer.Option(help="Store the head's reward and gate of each token, too.")
    ] = True,
    chat_template_kwargs: TemplateArguments = None,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Sample candidates for the questions of a task, grade them, and store them."""
    sampling: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
    }
    arguments = parse_arguments(chat_template_kwargs)
    sys.path.append("")  # a grader of one's own may lie in this folder
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
        show_progress=show_progress,
        chat_template_kwargs=arguments,
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


@readable_errors()
def import_rollouts(
    source: Annotated[Path, typer.Argument(help="Rollouts of the paper's scripts, a JSON file.")],
    path: Annotated[
        Path, typer.Argument(help="Candidates file to write, which must not exist yet.")
    ],
    model: Annotated[str, typer.Option(help="Model that wrote the rollouts: a hub id or a path.")],
    task: Annotated[
        str,
        typer.Option(help="Any name for the task; the grader of a known one reads the answers."),
    ],
    split: Annotated[str, typer.Option(help="Any name for the split, such as train.")] = "train",
    instruction: Annotated[
        str,
        typer.Option(
            help="Text that stood before each prompt when the model was asked; none if left out."
        ),
    ] = "",
    grader: Grader = None,
    end_token_id: Annotated[
        int | None,
        typer.Option(
            help="Token that ends a turn; the tokenizer's eos_token_id if left out.",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="Most tokens that the sampling allowed: a rollout with as many was cut off; none "
            "was if left out."
        ),
    ] = None,
    chat_template_kwargs: TemplateArguments = None,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Make a candidates file of the paper's rollouts. Needs the model's tokenizer alone."""
    arguments = parse_arguments(chat_template_kwargs)
    sys.path.append("")  # a grader of one's own may lie in this folder
    collection.rollouts.check_paths(source, path)  # before a tokenizer is loaded
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
        show_progress=show_progress,
        chat_template_kwargs=arguments,
    )
    cli.output.print_record({"path": str(path), **report._asdict()}, as_json)
