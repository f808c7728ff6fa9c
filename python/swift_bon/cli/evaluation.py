"""The commands that judge: evaluate, inspect."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon import cli, evaluation, models
from swift_bon.cli.options import (
    Head,
    Json,
    MaxNewTokens,
    Model,
    Progress,
    Samples,
    Seed,
    Temperature,
    TemplateArguments,
    TopK,
    TopP,
    likeliest,
    parse_arguments,
)
from swift_bon.cli.terminal import read_prompts, readable_errors
from swift_bon.models.names import EMBEDDED_NAME


@readable_errors()
def evaluate(
    path: Annotated[
        Path,
        typer.Argument(help="Candidates file with scores, as collect --head or score leave it."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="Path of the report without its endings; a.evaluation for a.jsonl if left out."
        ),
    ] = None,
    report: Annotated[bool, typer.Option(help="Write the report as JSON, PNG and HTML.")] = True,
    combine: Annotated[
        list[str] | None,
        typer.Option(
            help="Two scores to combine, as in swift+mean_logprob, may be given several times; "
            "SWIFT's with the mean log-probability and with each reward model's if left out."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Method that the others are compared with; swift if left out."),
    ] = None,
    num_draws: Annotated[
        int, typer.Option(help="Draws of the bootstrap over questions, for the intervals.")
    ] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn.")] = 0,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Say how often each way to pick one of k is right, with paired intervals, in a report."""
    settings: dict[str, Any] = {
        "combine": combine or None,
        "reference": reference,
        "num_draws": num_draws,
        "seed": seed,
        "show_progress": show_progress,
    }
    files: tuple[Path, ...] = ()
    if report:
        record, files = evaluation.report(path, output, **settings)
    elif output is not None:
        raise ValueError("--output and --no-report exclude each other; leave one out")
    else:
        record = evaluation.evaluate(path, **settings)
    if as_json:
        cli.output.print_json(record)
        return
    cli.output.print_evaluation(record)
    for file in files:
        typer.echo(f"written: {file}")


@readable_errors()
def inspect(
    prompt: Annotated[
        str | None,
        typer.Argument(
            help="Prompt, one user message, where - reads standard input; that of --file and --id "
            "if left out."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Candidates file to look into; the prompt is sampled anew if left out."),
    ] = None,
    prompt_id: Annotated[
        str | None, typer.Option("--id", help="Id of the prompt in --file; none if left out.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Page to write.")] = Path("inspect.html"),
    num_return_sequences: Samples = 8,
    max_new_tokens: MaxNewTokens = 128,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    top_k: TopK = None,
    seed: Seed = 0,
    model: Model = EMBEDDED_NAME,
    head: Head = None,
    chat_template_kwargs: TemplateArguments = None,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Write a page of one prompt's candidates, each token coloured by its reward and its gate."""
    if (prompt is None) == (file is None):
        raise ValueError("give either a prompt or --file with --id")
    if (file is None) != (prompt_id is None):
        raise ValueError("--file and --id belong together; give both or none")
    if file is not None and prompt_id is not None:
        page = evaluation.inspection.inspect_stored(file, prompt_id)
    elif prompt is not None:
        arguments = parse_arguments(chat_template_kwargs)
        text = "\n".join(read_prompts([prompt], None))  # standard input is one prompt
        loaded_head = models.load_head(head, model_name=model)
        loaded_model, tokenizer = models.load_model(model)
        page = evaluation.inspect_prompt(
            loaded_model,
            tokenizer,
            text,
            loaded_head,
            num_return_sequences,
            seed=seed,
            show_progress=show_progress,
            chat_template_kwargs=arguments,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            **likeliest(top_k),
        )
    cli.output.write_page(output, page)
    cli.output.print_record({"output": str(output)}, as_json)
