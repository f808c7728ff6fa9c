"""The command that adds scores to collected candidates."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon.cli.options import Json
from swift_bon.cli.terminal import print_record, readable_errors


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
    from swift_bon.candidates.files import check_file, read_header
    from swift_bon.collection.head_scores import score_with_head
    from swift_bon.collection.reward_models import load_reward_model, score_with_reward_model
    from swift_bon.models.loading import load_head, load_model

    options: dict[str, Any] = {"name": name, "batch_size": batch_size}
    given = {option: value for option, value in options.items() if value is not None}
    with readable_errors():
        if (reward_model is None) == (head is None):
            raise ValueError("give either --reward-model or --head")
        if reward_model is not None and model is not None:
            raise ValueError("--model is for --head; a reward model reads texts, leave it out")
        header = read_header(check_file(path))  # before a model is loaded, which may take long
        if reward_model is not None:
            added = score_with_reward_model(path, *load_reward_model(reward_model), **given)
        else:
            model = model or header["model"]
            loaded_head = load_head(head, model_name=model)
            added = score_with_head(path, *load_model(model), loaded_head, **given)
    print_record({"path": str(path), **added._asdict()}, as_json)
