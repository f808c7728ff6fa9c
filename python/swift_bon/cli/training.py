"""The command that fits heads: train."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swift_bon import cli, fitting, models
from swift_bon import features as feature_stores
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

if TYPE_CHECKING:  # it loads torch
    from swift_bon.features.shards import FeatureSource


@readable_errors()
def train(
    path: Candidates,
    output: Annotated[Path, typer.Argument(help="Folder to save the head in.")],
    features: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the features, made where absent; a.features for a.jsonl if left out."
        ),
    ] = None,
    store: Annotated[
        bool,
        typer.Option(
            help="Store the features; --no-store runs the model in every epoch and takes no disk."
        ),
    ] = True,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Loss to fit by: bce, hinge, dpo, infonca, nca or pairwise; bce if left out."
        ),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Temperature of infonca and nca; 0.01 if left out.")
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            help="Seed of a fit, may be given several times; a head is fitted for each of 0, 1, 2 "
            "if left out."
        ),
    ] = None,
    learning_rates: Annotated[
        list[float] | None,
        typer.Option(
            help="Learning rate of a fit, may be given several times; if left out by the number "
            "of features, 0.088 for 512."
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            help="Weight decay of AdamW; if left out by the number of features, 2.8 for 512, and "
            "less for a larger learning rate."
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="Learning rate over time: cosine or constant; cosine if left out."),
    ] = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of the steps that warm up; 0.05 if left out.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Most epochs of a fit; 12 if left out.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Epochs without a better one that end a fit; 12 if left out."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Candidates in one step of a fit; 256 if left out.")
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(help="Share of the prompts held out to choose by; 0.15 if left out."),
    ] = None,
    select_by: Annotated[
        str | None,
        typer.Option(
            help="What chooses epoch and head on them: loss or best_of_n; loss if left out."
        ),
    ] = None,
    gated: Annotated[
        bool, typer.Option(help="Weigh tokens by a gate, or average their rewards.")
    ] = True,
    standardize: Annotated[
        bool, typer.Option(help="Fit to standardised features; the saved head reads plain ones.")
    ] = True,
    layers: Layers = None,
    scored_tokens: Annotated[
        str | None,
        typer.Option(
            help="Tokens of a candidate that count: fed, all but its last, or response, all; if "
            "left out as the features were made, fed for new ones."
        ),
    ] = None,
    forward_batch: ForwardBatch = 64,
    device: Annotated[
        str | None,
        typer.Option(
            help="Device of the fit, as cpu or cuda:0; a GPU where there is one if left out."
        ),
    ] = None,
    model: Model = EMBEDDED_NAME,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Fit a head to collected candidates and save it with its model card.

    Takes the model once, to store the features, or not at all where they are stored. A killed run
    goes on where it stopped.
    """
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
    chosen = fitting.options.FitOptions.from_arguments(given)
    # what cannot be fitted is refused before the model runs for long
    data = fitting.data.read_training_data(path, chosen)
    if features is not None and not store:
        raise ValueError("--features and --no-store exclude each other; leave one out")
    source: FeatureSource
    if store:
        source = feature_stores.extraction.open_features(
            path,
            features,
            load=lambda: models.load_model(model),
            prompts=data.prompts,
            layers=given.get("layers"),
            scored_tokens=scored_tokens,
            batch_size=forward_batch,
            show_progress=show_progress,
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
    _, report = fitting.training.fit_head(
        data, source, output, chosen, device=device, show_progress=show_progress
    )
    fits = [{k: v for k, v in fit.items() if k != "history"} for fit in report["fits"]]
    cli.output.print_record(
        {"output": str(output), "chosen": report["chosen"], "fits": fits}, as_json
    )
