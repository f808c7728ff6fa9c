"""The command that adds scores to collected candidates."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon import candidates, cli, collection, models
from swift_bon.cli.options import Json, Progress
from swift_bon.cli.terminal import readable_errors


@readable_errors()
def score(
    path: Annotated[
        Path, typer.Argument(help="Candidates file to add to; what a killed run began goes on.")
    ],
    reward_model: Annotated[
        str | None,
        typer.Option(
            help="Reward model: the hub id or path of a sequence-classification model with one "
            "label; --head scores if left out."
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="Head: a folder, a hub id or the name of one that ships; --reward-model scores "
            "if left out."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Language model of --head; the one that wrote the candidates if left out."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the score; if left out swift for a head, and the last part of the id "
            "for a reward model."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Candidates in one forward, halved when memory runs out; if left out 64 for a "
            "head and 16 for a reward model."
        ),
    ] = None,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Add the scores of a reward model or of a head to each candidate of a file."""
    options: dict[str, Any] = {"name": name, "batch_size": batch_size}
    given = {option: value for option, value in options.items() if value is not None}
    if (reward_model is None) == (head is None):
        raise ValueError("give either --reward-model or --head")
    if reward_model is not None and model is not None:
        raise ValueError("--model is for --head; a reward model reads texts, leave it out")
    header = candidates.read_header(candidates.files.check_file(path))  # before a model is loaded
    if reward_model is not None:
        judge, tokenizer = collection.load_reward_model(reward_model)
        added = collection.score_with_reward_model(
            path, judge, tokenizer, show_progress=show_progress, **given
        )
    else:
        model = model or header["model"]
        models.identity.check_name_of_writer(header, model, path)
        loaded_head = models.load_head(head, model_name=model)
        loaded_model, tokenizer = models.load_model(model)
        added = collection.score_with_head(
            path, loaded_model, tokenizer, loaded_head, show_progress=show_progress, **given
        )
    cli.output.print_record({"path": str(path), **added._asdict()}, as_json)
