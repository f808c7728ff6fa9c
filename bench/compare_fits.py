"""Which features and which loss make the better head? Five seeds of each, compared on the questions
of the test split.

    python bench/compare_fits.py runs/basics-train.jsonl runs/basics-test.jsonl [--out DIR]

The states of the training candidates are extracted once, whole (10 GB for basics), and the other
stores are made from that one. A seed draws the initial weights and the order of the prompts. The
heads, as they would be saved, score the states of the test candidates in one pass of the model.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from measuring.machine import machine
from measuring.records import add_out_argument, print_record, write_record
from swift_bon.candidates.files import read_candidates
from swift_bon.features.extraction import extract_features, project_features
from swift_bon.features.model_features import ModelFeatures, stream_features
from swift_bon.features.store import FeatureStore
from swift_bon.fitting.training import train_reward_head
from swift_bon.models.loading import load_model
from swift_bon.statistics import auroc, picked_accuracy
from swift_bon.statistics.resampling import Bootstrap
from swift_kernels import RewardHead, score_packed

NAME = "compare_fits"
SEEDS = (0, 1, 2, 3, 4)
FULL, DEFAULT = "full", "mixed-512"
MEAN = "mixed-512, mean of the seeds' weights"


class Variant(NamedTuple):
    """A store and how heads are fitted to it."""

    name: str
    store: str = DEFAULT
    options: dict[str, Any] = {}


# Name of a store, and how it is made from the full one.
STORES: dict[str, dict[str, Any]] = {
    "mixed-512": {"projection_dim": 512},
    "mixed-512-float8": {"projection_dim": 512, "dtype": "float8"},
    "mixed-256": {"projection_dim": 256},
    "per-layer-496": {"projection": "per_layer", "projection_dim": 496},
}
LOSS_NAMES = ("bce", "hinge", "dpo", "pairwise", "infonca", "nca")
# For each seed the best of three by the held-out loss, around what cross-validation preferred.
FULL_OPTIONS = {"learning_rates": (2e-4, 1e-3, 5e-3), "weight_decay": 10.0}
FEATURE_VARIANTS = (
    Variant(FULL, FULL, FULL_OPTIONS),
    *(Variant(name, name) for name in STORES),
    Variant(f"{DEFAULT}, no gate", options={"gated": False}),
)
LOSS_VARIANTS = tuple(
    Variant(DEFAULT if loss == "bce" else loss, options={"loss": loss}) for loss in LOSS_NAMES
)  # bce is what the default takes
FEATURE_NAMES = [variant.name for variant in FEATURE_VARIANTS]
LOSS_VARIANT_NAMES = [variant.name for variant in LOSS_VARIANTS]


class Fitted(NamedTuple):
    """The heads of one variant, a head a seed; of a mean just one."""

    heads: list[RewardHead]
    token_bytes: int
    store_bytes: int


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=" ".join(__doc__.split("\n\n")[0].split()))
    parser.add_argument("train", type=Path, help="candidates to fit to: swift-bon collect")
    parser.add_argument("test", type=Path, help="candidates to compare on")
    parser.add_argument("--stores", type=Path, help="folder of the stores; by default beside TRAIN")
    parser.add_argument("--epochs", type=int, help="of each fit, where not the default")
    parser.add_argument("--model", default="smollm2-135m")
    add_out_argument(parser)
    options = parser.parse_args(arguments)
    stores = options.stores or options.train.with_suffix(".stores")
    model, tokenizer = load_model(options.model)
    extract_features(model, tokenizer, options.train, stores / FULL, projection=None)
    common = {} if options.epochs is None else {"epochs": options.epochs}
    fitted: dict[str, Fitted] = {}
    for variant in (*FEATURE_VARIANTS, *LOSS_VARIANTS):
        if variant.name in fitted:
            continue
        fitted[variant.name] = fit(variant, options.train, stores, common)
        print(f"fitted: {variant.name}", flush=True)
    base = fitted[DEFAULT]
    fitted[MEAN] = base._replace(heads=[mean_head(base.heads)])
    accuracies, areas = judge(stream_features(model, tokenizer, options.test), options.test, fitted)
    record = {
        "benchmark": NAME,
        "machine": machine(),
        "num_seeds": len(SEEDS),
        "num_prompts": accuracies[FULL].shape[1],
        "features": _rows([*FEATURE_NAMES, MEAN], FULL, fitted, accuracies, areas),
        "losses": _rows(LOSS_VARIANT_NAMES, DEFAULT, fitted, accuracies, areas),
    }
    write_record(NAME, record, options.out)
    print_record(record)


def fit(variant: Variant, path: Path, stores: Path, common: dict[str, Any]) -> Fitted:
    """Fit a head for each seed, each in a fit of its own."""
    if variant.store != FULL:
        project_features(path, stores / FULL, stores / variant.store, **STORES[variant.store])
    store = FeatureStore(stores / variant.store, read_candidates(path))
    num_tokens = sum(shard.num_tokens for shard in store.shards)
    heads = [
        train_reward_head(path, store, seeds=(seed,), **common, **variant.options).head
        for seed in SEEDS
    ]
    token_bytes = store.spec.token_bytes
    return Fitted(heads, token_bytes, num_tokens * token_bytes)


@torch.no_grad()
def judge(
    source: ModelFeatures, path: Path, fitted: dict[str, Fitted]
) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """Of each variant the accuracy of its picks `[seeds, P]`, and the AUROC of each seed."""
    correct = [torch.tensor([c.correct for c in p.candidates]) for p in read_candidates(path)]
    scores: dict[str, list[list[Tensor]]] = {  # [seed][prompt]
        name: [[torch.empty(0)] * len(correct) for _ in variant.heads]
        for name, variant in fitted.items()
    }
    for number, shard in enumerate(source.shards):
        pack = source.read(number)
        layers = pack.states.unflatten(1, (source.spec.num_blocks, -1)).unbind(1)
        for name, variant in fitted.items():
            for table, head in zip(scores[name], variant.heads, strict=True):
                rows = score_packed(layers, head, pack.offsets).split(shard.num_candidates)
                for position, row in zip(shard.prompts, rows, strict=True):
                    table[position] = row
    accuracies, areas = {}, {}
    labels = torch.cat(correct)
    for name, tables in scores.items():
        picks = [
            torch.cat(
                [
                    picked_accuracy(row[None], right[None])
                    for row, right in zip(table, correct, strict=True)
                ]
            )
            for table in tables
        ]
        accuracies[name] = torch.stack(picks)
        areas[name] = [auroc(torch.cat(table), labels) for table in tables]
    return accuracies, areas


def mean_head(heads: Sequence[RewardHead]) -> RewardHead:
    """One head with the mean of the weights."""
    states = [head.state_dict() for head in heads]
    mean = RewardHead(**heads[0].config())
    mean.load_tensors(
        {name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]},
        "the mean of heads",
    )
    return mean


def _rows(
    names: Sequence[str],
    baseline: str,
    fitted: dict[str, Fitted],
    accuracies: dict[str, Tensor],
    areas: dict[str, list[float]],
) -> list[dict[str, Any]]:
    """Means over the seeds, and the difference to the baseline with a paired interval."""
    means = {name: accuracies[name].mean(dim=0) for name in names}  # [P]
    bootstrap = Bootstrap(len(means[baseline]))
    mean_areas = {name: sum(areas[name]) / len(areas[name]) for name in names}
    return [
        {
            "name": name,
            "token_bytes": fitted[name].token_bytes,
            "store_bytes": fitted[name].store_bytes,
            "auroc": mean_areas[name],
            "auroc_range": [min(areas[name]), max(areas[name])],
            "auroc_difference": mean_areas[name] - mean_areas[baseline],
            "best_of_n": list(bootstrap.interval(means[name])),
            "best_of_n_seeds": accuracies[name].mean(dim=1).tolist(),
            "difference": list(bootstrap.interval(means[name] - means[baseline])),
        }
        for name in names
    ]


if __name__ == "__main__":
    main()
