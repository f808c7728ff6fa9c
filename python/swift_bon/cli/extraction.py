"""The command that stores features: extract."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon import cli, features, models
from swift_bon.cli.options import (
    Candidates,
    ForwardBatch,
    Json,
    Layers,
    Model,
    Progress,
    parse_layers,
)
from swift_bon.cli.terminal import readable_errors, say
from swift_bon.models.names import EMBEDDED_NAME


@readable_errors()
def extract(
    path: Candidates,
    folder: Annotated[
        Path, typer.Argument(help="Folder of the store; one that a killed run left goes on.")
    ],
    states: Annotated[
        Path | None,
        typer.Option(
            help="Store made with --projection none, whose states are projected without the "
            "model; the model runs if left out."
        ),
    ] = None,
    layers: Layers = None,
    scored_tokens: Annotated[
        str | None,
        typer.Option(
            help="Tokens of a candidate that count: fed, all but its last, or response, all; fed "
            "if left out."
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Numbers to store: float16, bfloat16, float8 or float32; if left out float16, or "
            "bfloat16 with --projection none."
        ),
    ] = None,
    projection: Annotated[
        str,
        typer.Option(
            help="Projection of the states: mixed, of all layers together, per_layer, of each "
            "alone, or none, which keeps the states."
        ),
    ] = "mixed",
    projection_dim: Annotated[int, typer.Option(help="Numbers kept for each token.")] = 512,
    batch_size: ForwardBatch = 64,
    seed: Annotated[
        int, typer.Option(help="Seed of the sample that the projection is found from.")
    ] = 0,
    model: Model = EMBEDDED_NAME,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Run the model once over collected candidates and store the features of their tokens."""
    settings: dict[str, Any] = {
        "layers": parse_layers(layers),
        "dtype": dtype,
        "projection": None if projection == "none" else projection,
        "projection_dim": projection_dim,
        "seed": seed,
        "show_progress": show_progress,
        "say": say,
    }
    if states is not None and scored_tokens is not None:
        raise ValueError("--scored-tokens is that of --states; leave it out")
    if states is not None:
        store = features.project_features(path, states, folder, **settings)
    else:
        settings |= {"scored_tokens": scored_tokens or "fed", "batch_size": batch_size}
        loaded_model, tokenizer = models.load_model(model)
        store = features.extract_features(loaded_model, tokenizer, path, folder, **settings)
    record = {
        "folder": str(folder),
        "num_tokens": sum(shard.num_tokens for shard in store.shards),
        "dim": store.spec.dim,
        "dtype": store.spec.dtype,
        "layers": list(store.spec.layers),
    }
    cli.output.print_record(record, as_json)
