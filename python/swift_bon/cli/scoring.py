"""The command that adds scores to collected candidates."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon import candidates, cli, collection, models
from swift_bon.cli.options import Json
from swift_bon.cli.terminal import readable_errors


def score(
    path: Annotated[Path, typer.Argument(help="The candidates; resumed after a kill.")],
    reward_model: Annotated[
        str | None,
        typer.Option(help="Hub id or path of a sequence-classification model with one label."),
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="A folder or hub id, or the name of a head that ships.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="For --head; by default the one that wrote the candidates.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of the score; swift for a head, else the last part of the id."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Texts in one forward; halved when memory runs out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add the scores of a reward model or of a head to each candidate of a file."""
    options: dict[str, Any] = {"name": name, "batch_size": batch_size}
    given = {option: value for option, value in options.items() if value is not None}
    with readable_errors():
        if (reward_model is None) == (head is None):
            raise ValueError("give either --reward-model or --head")
        if reward_model is not None and model is not None:
            raise ValueError("--model is for --head; a reward model reads texts, leave it out")
        header = candidates.read_header(
            candidates.files.check_file(path)
        )  # before a model is loaded, which may take long
        if reward_model is not None:
            judge, tokenizer = collection.load_reward_model(reward_model)
            added = collection.score_with_reward_model(path, judge, tokenizer, **given)
        else:
            model = model or header["model"]
            loaded_head = models.load_head(head, model_name=model)
            loaded_model, tokenizer = models.load_model(model)
            added = collection.score_with_head(path, loaded_model, tokenizer, loaded_head, **given)
    cli.output.print_record({"path": str(path), **added._asdict()}, as_json)
