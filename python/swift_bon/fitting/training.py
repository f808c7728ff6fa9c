"""Train a head on stored features, and save it with a report of how it went."""

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from typing_extensions import Unpack

from swift_bon.features.shards import FeatureSource
from swift_bon.features.store import FeatureStore
from swift_bon.fitting.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from swift_bon.fitting.curves import plot_curves
from swift_bon.fitting.data import TrainingData, check_source, read_training_data
from swift_bon.fitting.head_fitting import HeadFitting
from swift_bon.fitting.history import choose_fit
from swift_bon.fitting.model_card import model_card
from swift_bon.fitting.options import FitArguments, FitOptions
from swift_bon.fitting.report import make_report
from swift_bon.plotting import figure_class
from swift_bon.storage import finite_json, only_run, write_whole
from swift_kernels import RewardHead

LOCK_NAME = ".lock"
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
    **options: Unpack[FitArguments],
) -> TrainedHead:
    """Fit a head to the features of a candidates file, several together, and save the best.

    A killed run goes on after the last whole epoch when called again with the same arguments.

    Args:
        path: the file that `collect` made: it says which candidates are right.
        features: the folder that `extract_features` wrote, read once an epoch for all heads; or a
            `ModelFeatures`, which runs the model once an epoch and takes no disk.
        output: folder of the head, its model card, training.json and curves.png, for one run at a
            time; None saves nothing.
        device: for the arithmetic; None takes the GPU if there is one.
        show_progress: False shows no bar.

    Options, all by name:
        loss: "bce", "hinge", "dpo", "infonca", "nca" (those of the paper's code) or "pairwise";
            `swift_bon.fitting.losses` defines them. `alpha` is the temperature of infonca and nca.
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
            right, all wrong, too few prompts); a damaged store; a loss that is not finite; another
            run that writes into `output`.

    >>> from swift_bon import collect, extract_features, load_model, train_reward_head
    >>> model, tokenizer = load_model()
    >>> _ = collect(model, tokenizer, "a.jsonl", limit=24, max_new_tokens=8)
    >>> options = {"projection_dim": 64, "show_progress": False}
    >>> store = extract_features(model, tokenizer, "a.jsonl", "a.features", **options)
    >>> head, report = train_reward_head("a.jsonl", store, "head", epochs=2, validation=0.3)
    >>> head.base_model, len(report["fits"])
    ('smollm2-135m', 3)
    """
    settings = FitOptions.from_arguments(options)
    data = read_training_data(Path(path), settings)
    return fit_head(data, features, output, settings, device=device, show_progress=show_progress)


def fit_head(
    data: TrainingData,
    features: str | Path | FeatureSource,
    output: str | Path | None,
    options: FitOptions,
    *,
    device: str | torch.device | None = None,
    show_progress: bool = True,
) -> TrainedHead:
    """`train_reward_head` on a candidates file that was read already."""
    source = features
    if isinstance(source, str | Path):
        source = FeatureStore(source, data.prompts)
    check_source(source, data)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if output is None:
        fitting = HeadFitting(source, data.labels, options, device, show_progress)
        while not fitting.is_done:
            fitting.run_epoch(show_progress)
        return _choose(data, fitting)
    folder = Path(output)
    figure_class()  # missing, it would be missed at the end
    folder.mkdir(parents=True, exist_ok=True)
    with _only_fit(folder):
        fitting = HeadFitting(source, data.labels, options, device, show_progress)
        if not load_checkpoint(folder, fitting) and (folder / CHECKPOINT_NAME).exists():
            warnings.warn(
                f"{folder / CHECKPOINT_NAME} is of another fit (other options, labels or features) "
                "or damaged; this fit starts from the beginning",
                stacklevel=3,
            )
        while not fitting.is_done:
            fitting.run_epoch(show_progress)
            save_checkpoint(folder, fitting)
        trained = _choose(data, fitting)
        _save(folder, *trained)
    return trained


@contextlib.contextmanager
def _only_fit(folder: Path) -> Iterator[None]:
    """Nobody else fits into the folder meanwhile; the lock is gone then, as a head is published.

    Whoever waited for the file that is gone does not get it: filelock looks (3.21.2 and newer).
    """
    lock = folder / LOCK_NAME
    with only_run(folder, lock):
        try:
            yield
        finally:
            with contextlib.suppress(PermissionError):  # Windows: an open file stays
                lock.unlink(missing_ok=True)


def _choose(data: TrainingData, fitting: HeadFitting) -> TrainedHead:
    chosen = choose_fit(fitting.fits, fitting.options)
    return TrainedHead(fitting.heads()[chosen], make_report(data, fitting, chosen))


def _save(folder: Path, head: RewardHead, report: dict[str, Any]) -> None:
    """The head last of all but the checkpoint, so that a killed run ends the same way again."""
    write_whole(folder / "training.json", json.dumps(finite_json(report), indent=1) + "\n")
    plot_curves(report, folder / "curves.png")
    card = {"training": model_card(report), "base_model": head.base_model}
    head.save_pretrained(folder, model_card_kwargs=card)
    for pattern in LEFTOVERS:
        for file in folder.glob(pattern):
            file.unlink()
