"""Train a head on stored features, and save it with a report of how it went."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from swift_bon.candidates.files import check_has_prompts, read_header, read_labels
from swift_bon.candidates.groups import groups_of
from swift_bon.candidates.records import PromptLabels
from swift_bon.features.shards import FeatureSource, identities
from swift_bon.features.store import FeatureStore
from swift_bon.fitting.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from swift_bon.fitting.curves import plot_curves
from swift_bon.fitting.head_fitting import HeadFitting
from swift_bon.fitting.history import choose_fit
from swift_bon.fitting.labels import LabelledPrompts, check_loss, label_prompts
from swift_bon.fitting.model_card import model_card
from swift_bon.fitting.options import FitOptions
from swift_bon.models.identity import check_training_data
from swift_bon.plotting import figure_class
from swift_bon.storage import finite_json, write_whole
from swift_kernels import RewardHead

# The checkpoint, and what runs that were killed while they wrote left behind.
LEFTOVERS = (CHECKPOINT_NAME, f".{CHECKPOINT_NAME}.*", ".training.json.*", ".curves.png.*")


class TrainedHead(NamedTuple):
    """The head that was chosen, and the report that is saved with it as training.json."""

    head: RewardHead
    report: dict[str, Any]


def train_reward_head(
    path: str | Path,
    features: str | Path | FeatureSource,
    output: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    show_progress: bool = True,
    **options,
) -> TrainedHead:
    """Fit a head to the features of a candidates file, several together, and save the best.

    A killed run goes on after the last whole epoch when called again with the same arguments.

    Args:
        path: the file that `collect` made: it says which candidates are right.
        features: the folder that `extract_features` wrote, read once an epoch for all heads; or a
            `ModelFeatures`, which runs the model once an epoch and takes no disk.
        output: folder of the head, its model card, training.json and curves.png; None saves
            nothing.
        device: for the arithmetic; None takes the GPU if there is one.

    Options, all by name:
        loss: "bce", "hinge", "dpo", "infonca", "nca" (those of the paper's code) or "pairwise";
            `swift_bon.losses` defines them. `alpha` is the temperature of infonca and nca.
        learning_rates, seeds: a head is fitted for each pair of them. A seed draws the initial
            weights; the first one also the order of the prompts, which all heads share.
        weight_decay, batch_size (candidates), epochs: of AdamW. Learning rate and weight decay
            follow from the number of features unless given.
        schedule, warmup: "cosine" or "constant", after a linear warm-up over a share of the steps.
        validation: share of the prompts held out, by group, to choose epoch and head by.
        select_by: "loss" or "best_of_n", on the held-out prompts.
        patience: epochs without a better one, after which a head is done. The best ones come late
            with the cosine schedule, so by default no head is done before the last.
        gated: with the gate, or a plain average of the rewards.
        layers: the hidden states to read; None takes all that the features have.
        standardize: fit to standardised features; the saved head has it folded in.

    Raises:
        TypeError, ValueError: a bad option; features of other candidates; nothing to learn (all
            right, all wrong, too few prompts); a damaged store; a loss that is not finite.
    """
    path = Path(path)
    settings = FitOptions.from_arguments(options)
    prompts, header, labels = read_split(path, settings)
    source = features
    if isinstance(features, str | Path):
        source = FeatureStore(features, prompts)
    check_training_data(prompts, header, source.spec.model, path)
    _check_same_prompts(source, prompts, path)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    fitting = HeadFitting(source, labels, settings, device)
    folder = None if output is None else Path(output)
    if folder is not None:
        figure_class()  # missing, it would be missed at the end
        folder.mkdir(parents=True, exist_ok=True)
        if not load_checkpoint(folder, fitting) and (folder / CHECKPOINT_NAME).exists():
            warnings.warn(
                f"{folder / CHECKPOINT_NAME} is of another fit (other options, labels or features) "
                "or damaged; this fit starts from the beginning",
                stacklevel=2,
            )
    while not fitting.is_done:
        fitting.run_epoch(show_progress)
        if folder is not None:
            save_checkpoint(folder, fitting)
    chosen = choose_fit(fitting.fits, fitting.options)
    head = fitting.heads()[chosen]
    report = _report(prompts, header, fitting, chosen)
    if folder is not None:
        _save(folder, head, report)
    return TrainedHead(head, report)


def read_split(
    path: Path, options: FitOptions
) -> tuple[list[PromptLabels], dict[str, Any], LabelledPrompts]:
    """The prompts of a candidates file, its header, and the split into training and validation.

    Raises:
        ValueError: there is nothing to learn from them.
    """
    prompts, header = read_labels(path), read_header(path)
    check_has_prompts(prompts, path)
    groups = groups_of(prompts, header["task"])
    labels = label_prompts(prompts, groups, options.validation)
    check_loss(labels, options.loss)
    return prompts, header, labels


def _check_same_prompts(source: FeatureSource, prompts: Sequence[PromptLabels], path: Path) -> None:
    """A source may have been made from another file, and would pair features with its labels."""
    wanted = identities(prompts)
    if source.identities != wanted:
        same = sum(map(tuple.__eq__, source.identities, wanted))
        raise ValueError(
            f"the features are of {len(source.identities)} prompts, {path} has {len(wanted)}, and "
            f"{same} of them stand in one place with the same tokens; make the features from "
            "this file"
        )


def _report(prompts, header, fitting: HeadFitting, chosen: int) -> dict[str, Any]:
    source = fitting.source
    spec = source.spec
    projection = None
    if spec.projection is not None:
        projection = {"num_blocks": spec.num_blocks, "block_size": spec.block_size}
    return {
        "candidates": {
            "num_return_sequences": max(len(prompt.correct) for prompt in prompts),
            "sampling": {},  # these three are of `collect`; a file from elsewhere may lack them
            "seed": None,
            **header,
            "num_prompts": len(prompts),
            "num_candidates": sum(len(prompt.correct) for prompt in prompts),
        },
        "features": {
            "kind": "store" if isinstance(source, FeatureStore) else "model",
            "dtype": spec.dtype,
            "dim": spec.dim,
            "layers": list(spec.layers),
            "projection": projection,
            "num_tokens": sum(shard.num_tokens for shard in source.shards),
        },
        "scored_tokens": spec.scored_tokens,
        "options": asdict(fitting.options),
        "fits": [
            {
                "learning_rate": fit.learning_rate,
                "seed": fit.seed,
                "epoch": fit.epoch,
                **{name: value for name, value in fit.best().items() if name != "train_loss"},
                "history": fit.history,
            }
            for fit in fitting.fits
        ],
        "chosen": chosen,
    }


def _save(folder: Path, head: RewardHead, report: dict[str, Any]) -> None:
    """The head last of all but the checkpoint, so that a killed run ends the same way again."""
    write_whole(folder / "training.json", json.dumps(finite_json(report), indent=1) + "\n")
    plot_curves(report, folder / "curves.png")
    card = {"training": model_card(report), "base_model": head.base_model}
    head.save_pretrained(folder, model_card_kwargs=card)
    for pattern in LEFTOVERS:
        for file in folder.glob(pattern):
            file.unlink()
