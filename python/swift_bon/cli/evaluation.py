"""The commands that judge: evaluate, inspect."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon import cli, evaluation, models
from swift_bon.cli.options import Head, Json, MaxNewTokens, Model, Samples, Seed, Temperature, TopP
from swift_bon.cli.terminal import read_prompts, readable_errors
from swift_bon.models.names import EMBEDDED_NAME


def evaluate(
    path: Annotated[Path, typer.Argument(help="Candidates with scores: collect --head, score.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Of the report, without endings; for a.jsonl by default a.evaluation."),
    ] = None,
    report: Annotated[
        bool, typer.Option(help="--no-report writes no JSON, PNG and HTML files.")
    ] = True,
    combine: Annotated[
        list[str] | None,
        typer.Option(help="Two scores, as in swift+mean_logprob; may be given several times."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="The method the others are compared with; swift.")
    ] = None,
    num_draws: Annotated[int, typer.Option(help="Of the bootstrap over questions.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Accuracy of each way to pick one of k, with paired intervals; a report with a page."""
    with readable_errors():
        settings: dict[str, Any] = {
            "combine": combine or None,
            "reference": reference,
            "num_draws": num_draws,
            "seed": seed,
        }
        if report:
            record, files = evaluation.report(path, output, **settings)
        elif output is not None:
            raise ValueError("--output and --no-report exclude each other; leave one out")
        else:
            record, files = evaluation.evaluate(path, **settings), ()
    if as_json:
        cli.output.print_json(record)
        return
    cli.output.print_evaluation(record)
    for file in files:
        typer.echo(f"written: {file}")


def inspect(
    prompt: Annotated[
        str | None, typer.Argument(help="One user message; - reads standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Collected candidates, instead of a prompt.")
    ] = None,
    prompt_id: Annotated[str | None, typer.Option("--id", help="Of the prompt in --file.")] = None,
    output: Annotated[Path, typer.Option(help="The page.")] = Path("inspect.html"),
    num_return_sequences: Samples = 8,
    max_new_tokens: MaxNewTokens = 128,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    model: Model = EMBEDDED_NAME,
    head: Head = None,
    as_json: Json = False,
) -> None:
    """Write a page of one prompt's candidates, each token coloured by its reward and its gate."""
    with readable_errors():
        if (prompt is None) == (file is None):
            raise ValueError("give either a prompt or --file with --id")
        if (file is None) != (prompt_id is None):
            raise ValueError("--file and --id belong together; give both or none")
        if file is not None:
            page = evaluation.inspection.inspect_stored(file, prompt_id)
        else:
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
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
            )
        cli.output.write_page(output, page)
    cli.output.print_record({"output": str(output)}, as_json)
