"""The command line: parse, call, print. Each flag is a parameter of the function it calls."""

from pathlib import Path
from typing import Annotated

import typer

from swift_bon import cli, generation, models
from swift_bon.cli import collection as cli_collection
from swift_bon.cli import evaluation as cli_evaluation
from swift_bon.cli import scoring as cli_scoring
from swift_bon.cli import training as cli_training
from swift_bon.cli.options import Head, Json, MaxNewTokens, Model, Samples, Seed, Temperature, TopP
from swift_bon.cli.terminal import read_prompts, readable_errors
from swift_bon.models.names import EMBEDDED_NAME

app = typer.Typer(
    name="swift-bon",
    help="Best-of-N from a language model's own hidden states, scored while it generates.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    questions: Annotated[int, typer.Option(help="Questions of the test split.")] = 24,
    samples: Annotated[int, typer.Option(help="Candidates for each question.")] = 8,
    seed: Seed = 0,
    model: Model = EMBEDDED_NAME,
    head: Head = None,
) -> None:
    """Answer questions by best-of-N with a real model, and compare the ways to pick."""
    with readable_errors():
        loaded_head = models.load_head(head, model_name=model)
        loaded_model, tokenizer = models.load_model(model)
        record = cli.demo.demo(
            loaded_model, tokenizer, loaded_head, questions=questions, samples=samples, seed=seed
        )
    cli.output.print_json(record)


@app.command()
def generate(
    prompts: Annotated[
        list[str] | None, typer.Argument(help="One user message each; - reads standard input.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file with one prompt a line.")] = None,
    num_return_sequences: Samples = 16,
    max_new_tokens: MaxNewTokens = 128,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    batch_size: Annotated[
        int, typer.Option(help="Candidates at a time; halved when memory runs out.")
    ] = 64,
    seed: Seed = 0,
    model: Model = EMBEDDED_NAME,
    head: Head = None,
    as_json: Json = False,
) -> None:
    """Write N candidates for each prompt and print the best, with the scores of all."""
    with readable_errors():
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
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
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


@app.command()
def convert(
    path: Annotated[Path, typer.Argument(help="A .pt file of the paper's code.")],
    output: Annotated[Path, typer.Argument(help="Folder of the head.")],
    num_layers: Annotated[int, typer.Option(help="Hidden states: num_hidden_layers + 1.")],
    hidden_size: Annotated[int, typer.Option(help="Of the model.")],
    base_model: Annotated[str | None, typer.Option(help="Hub id of the model.")] = None,
    as_json: Json = False,
) -> None:
    """Turn a checkpoint of the paper's code into a head. Pickled code is never run."""
    with readable_errors():
        head = cli.conversion.convert(path, output, num_layers, hidden_size, base_model=base_model)
    cli.output.print_record({"output": str(output), **head.config()}, as_json)


for command in (
    cli_collection.collect,
    cli_training.extract,
    cli_training.train,
    cli_scoring.score,
    cli_evaluation.evaluate,
    cli_evaluation.inspect,
):
    app.command()(command)
app.command("import")(cli_collection.import_rollouts)  # a word that no function may have


if __name__ == "__main__":
    app()
