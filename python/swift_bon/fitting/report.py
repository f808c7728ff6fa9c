"""The story of a training, as it is saved beside the head.

A report is the dict that is saved as training.json:

    "candidates"     the header of the candidates, with "num_prompts" and "num_candidates"
    "features"       "kind" ("store" or "model"), "dtype", "dim", "projection", "num_tokens"
    "options"        what the fits depended on besides the data
    "scored_tokens"  of the head
    "fits"           one dict a fit: "seed", "learning_rate", its best "epoch" (from 0), "loss",
                     "auroc", "best_of_n" and "random" there, and "history", a list over epochs
                     of "train_loss", "loss", "auroc", "best_of_n" and "random"
    "chosen"         the position of the shipped fit
"""

import math
from dataclasses import asdict
from typing import Any

from swift_bon.features.store import FeatureStore
from swift_bon.fitting.data import TrainingData
from swift_bon.fitting.head_fitting import HeadFitting


def make_report(data: TrainingData, fitting: HeadFitting, chosen: int) -> dict[str, Any]:
    """The report of a fit that is done."""
    source = fitting.source
    spec = source.spec
    projection = None
    if spec.projection is not None:
        projection = {"num_blocks": spec.num_blocks, "block_size": spec.block_size}
    return {
        "candidates": {
            "num_return_sequences": max(len(prompt.correct) for prompt in data.prompts),
            "sampling": {},  # these three are of `collect`; a file from elsewhere may lack them
            "seed": None,
            **data.header,
            "num_prompts": len(data.prompts),
            "num_candidates": sum(len(prompt.correct) for prompt in data.prompts),
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


def number_text(value: float, digits: int) -> str:
    """A number of a report as readers see it; NaN is "n/a"."""
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"
