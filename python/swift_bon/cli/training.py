"""The commands on the way from candidates to a head: extract, train."""

from pathlib import Path
from typing import Annotated, Any

import typer

from swift_bon import cli, fitting, models
from swift_bon import features as feature_stores
from swift_bon.cli.options import Json, Model
from swift_bon.cli.terminal import readable_errors, say
from swift_bon.models.names import EMBEDDED_NAME

Layers = Annotated[str | None, typer.Option(help="Hidden states, as in 0,8,16-30; by default all.")]
Dtype = Annotated[str | None, typer.Option(help="float16, bfloat16, float8 or float32.")]
Projection = Annotated[
    str, typer.Option(help="mixed, per_layer, or none, which keeps the states themselves.")
]
ProjectionDim = Annotated[int, typer.Option(help="Numbers kept for each token.")]
ForwardBatch = Annotated[
    int, typer.Option(help="Candidates in one forward; halved when memory runs out.")
]


def extract(
    path: Annotated[Path, typer.Argument(help="The file that collect made.")],
    folder: Annotated[Path, typer.Argument(help="Of the store; resumed if it exists.")],
    states: Annotated[
        Path | None,
        typer.Option(help="A store made with --projection none: takes its states, not the model."),
    ] = None,
    layers: Layers = None,
    scored_tokens: Annotated[
        str | None, typer.Option(help="fed (the default) or response.")
    ] = None,
    dtype: Dtype = None,
    projection: Projection = "mixed",
    projection_dim: ProjectionDim = 512,
    batch_size: ForwardBatch = 64,
    seed: Annotated[int, typer.Option(help="Of the sample the projection is found from.")] = 0,
    model: Model = EMBEDDED_NAME,
    as_json: Json = False,
) -> None:
    """Run the model once over collected candidates and store the features of their tokens."""
    with readable_errors():
        settings: dict[str, Any] = {
            "layers": parse_layers(layers),
            "dtype": dtype,
            "projection": None if projection == "none" else projection,
            "projection_dim": projection_dim,
            "seed": seed,
            "say": say,
        }
        if states is not None and scored_tokens is not None:
            raise ValueError("--scored-tokens is that of --states; leave it out")
        if states is not None:
            store = feature_stores.project_features(path, states, folder, **settings)
        else:
            settings |= {"scored_tokens": scored_tokens or "fed", "batch_size": batch_size}
            loaded_model, tokenizer = models.load_model(model)
            store = feature_stores.extract_features(
                loaded_model, tokenizer, path, folder, **settings
            )
    record = {
        "folder": str(folder),
        "num_tokens": sum(shard.num_tokens for shard in store.shards),
        "dim": store.spec.dim,
        "dtype": store.spec.dtype,
        "layers": list(store.spec.layers),
    }
    cli.output.print_record(record, as_json)


def train(
    path: Annotated[Path, typer.Argument(help="The file that collect made.")],
    output: Annotated[Path, typer.Argument(help="Folder of the head.")],
    features: Annotated[
        Path | None,
        typer.Option(help="The store, made if absent; for a.jsonl by default a.features."),
    ] = None,
    store: Annotated[
        bool, typer.Option(help="--no-store runs the model in every epoch and takes no disk.")
    ] = True,
    loss: Annotated[
        str | None, typer.Option(help="bce (the default), hinge, dpo, infonca, nca or pairwise.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Of infonca and nca; 0.01.")] = None,
    seeds: Annotated[
        list[int] | None, typer.Option(help="May be given several times; 0, 1 and 2.")
    ] = None,
    learning_rates: Annotated[
        list[float] | None,
        typer.Option(help="May be given several times; by the number of features."),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Of AdamW; by the number of features.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine (the default) or constant.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of the steps; 0.05.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most; 12.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without a better one; 12.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Candidates a step; 256.")] = None,
    validation: Annotated[float | None, typer.Option(help="Share of the prompts; 0.15.")] = None,
    select_by: Annotated[str | None, typer.Option(help="loss (the default) or best_of_n.")] = None,
    gated: Annotated[bool, typer.Option(help="With the gate, or a plain average.")] = True,
    standardize: Annotated[bool, typer.Option(help="Fit to standardised features.")] = True,
    layers: Layers = None,
    scored_tokens: Annotated[str | None, typer.Option(help="fed or response.")] = None,
    forward_batch: ForwardBatch = 64,
    device: Annotated[str | None, typer.Option(help="Of the fit; a GPU if there is one.")] = None,
    model: Model = EMBEDDED_NAME,
    as_json: Json = False,
) -> None:
    """Fit a head to collected candidates and save it with its model card.

    Takes the model once, to store the features, or not at all where they are stored. A killed run
    goes on where it stopped.
    """
    with readable_errors():
        options: dict[str, Any] = {
            "loss": loss,
            "alpha": alpha,
            "seeds": seeds or None,
            "learning_rates": learning_rates or None,
            "weight_decay": weight_decay,
            "schedule": schedule,
            "warmup": warmup,
            "epochs": epochs,
            "patience": patience,
            "batch_size": batch_size,
            "validation": validation,
            "select_by": select_by,
            "gated": gated,
            "standardize": standardize,
            "layers": parse_layers(layers),
        }
        given = {name: value for name, value in options.items() if value is not None}
        # what cannot be fitted is refused before the model runs for long
        fitting.training.read_split(path, fitting.options.FitOptions.from_arguments(given))
        if features is not None and not store:
            raise ValueError("--features and --no-store exclude each other; leave one out")
        if store:
            source = feature_stores.extraction.open_features(
                path,
                features,
                load=lambda: models.load_model(model),
                layers=given.get("layers"),
                scored_tokens=scored_tokens,
                batch_size=forward_batch,
                say=say,
            )
        else:
            loaded_model, tokenizer = models.load_model(model)
            source = feature_stores.stream_features(
                loaded_model,
                tokenizer,
                path,
                layers=given.get("layers"),
                scored_tokens=scored_tokens or "fed",
                batch_size=forward_batch,
            )
        _, report = fitting.train_reward_head(path, source, output, device=device, **given)
    fits = [{k: v for k, v in fit.items() if k != "history"} for fit in report["fits"]]
    cli.output.print_record(
        {"output": str(output), "chosen": report["chosen"], "fits": fits}, as_json
    )


def parse_layers(text: str | None) -> list[int] | None:
    """`0,8,16-30` as indices."""
    if text is None:
        return None
    layers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        are_numbers = first.strip().isdecimal() and last.strip().isdecimal()
        if not are_numbers or int(first) > int(last):
            raise ValueError(f"layers is {text!r}, expected something like 0,8,16-30")
        layers += range(int(first), int(last) + 1)
    return layers
