"""The command line: parse, call, print. Each flag is a parameter of the function it calls."""

from pathlib import Path
from typing import Annotated

import typer

from swift_bon import cli, generation, models
from swift_bon.cli import collection, diagnosis, evaluation, extraction, scoring, training
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
from swift_bon.cli.terminal import read_prompts, readable_errors, remember_flags, show_tracebacks
from swift_bon.cli.version import version
from swift_bon.models.names import EMBEDDED_NAME

app = typer.Typer(name="swift-bon", no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"swift-bon {version()}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error before its one line.")
    ] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Best-of-N from a language model's own hidden states, scored while it generates."""
    remember_flags(context)
    if debug:
        show_tracebacks(context)


@readable_errors()
def demo(
    questions: Annotated[int, typer.Option(help="Questions asked, of the test split.")] = 24,
    samples: Annotated[int, typer.Option(help="Candidates sampled for each question.")] = 8,
    seed: Seed = 0,
    model: Model = EMBEDDED_NAME,
    head: Head = None,
    show_progress: Progress = True,
) -> None:
    """Answer questions by best-of-N with a real model, and compare the ways to pick."""
    loaded_head = models.load_head(head, model_name=model)
    loaded_model, tokenizer = models.load_model(model)
    record = cli.demo.demo(
        loaded_model,
        tokenizer,
        loaded_head,
        questions=questions,
        samples=samples,
        seed=seed,
        show_progress=show_progress,
    )
    cli.output.print_json(record)


@readable_errors()
def generate(
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Prompts, one user message each, where - reads lines of standard input; those of "
            "--file if left out."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="File with one prompt a line; only the arguments count if left out."),
    ] = None,
    num_return_sequences: Samples = 16,
    max_new_tokens: MaxNewTokens = 128,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    top_k: TopK = None,
    batch_size: Annotated[
        int, typer.Option(help="Candidates written at a time; halved when memory runs out.")
    ] = 64,
    seed: Seed = 0,
    model: Model = EMBEDDED_NAME,
    head: Head = None,
    chat_template_kwargs: TemplateArguments = None,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Write N candidates for each prompt and print the best, with the scores of all."""
    arguments = parse_arguments(chat_template_kwargs)
    texts = read_prompts(prompts or [], file)
    loaded_head = models.load_head(head, model_name=model)
    loaded_model, tokenizer = models.load_model(model)
    results = generation.best_of_n(
        loaded_model,
        tokenizer,
        texts,
        loaded_head,
        num_return_sequences,
        batch_size=batch_size,
        seed=seed,
        show_progress=show_progress,
        chat_template_kwargs=arguments,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        **likeliest(top_k),
    )
    records = [
        {"prompt": text, **cli.output.result_record(result)}
        for text, result in zip(texts, results, strict=True)
    ]
    if as_json:
        cli.output.print_json({"results": records})
        return
    for record in records:
        cli.output.print_result(record)


@readable_errors()
def convert(
    path: Annotated[Path, typer.Argument(help="Checkpoint of the paper's code, a .pt file.")],
    output: Annotated[Path, typer.Argument(help="Folder to save the head in.")],
    num_layers: Annotated[
        int, typer.Option(help="Hidden states that it reads: num_hidden_layers + 1 of the model.")
    ],
    hidden_size: Annotated[int, typer.Option(help="Hidden size of the model.")],
    base_model: Annotated[
        str | None,
        typer.Option(help="Hub id of the model, kept with the head; none is kept if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn a checkpoint of the paper's code into a head. Pickled code is never run."""
    head = cli.conversion.convert(path, output, num_layers, hidden_size, base_model=base_model)
    cli.output.print_record({"output": str(output), **head.config()}, as_json)


app.command()(demo)
app.command()(generate)
app.command()(collection.collect)
app.command("import")(collection.import_rollouts)  # a word that no function may have
app.command()(extraction.extract)
app.command()(training.train)
app.command()(scoring.score)
app.command()(evaluation.evaluate)
app.command()(evaluation.inspect)
app.command()(diagnosis.doctor)
app.command()(convert)


if __name__ == "__main__":
    app()
