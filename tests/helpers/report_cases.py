"""Reports of trainings that never ran, for the curves and the card that are made of them."""

import json

REPORT = """{
"candidates": {"model": "tiny/llama", "task": "basics", "split": "train", "seed": 31,
  "num_return_sequences": 8, "sampling": {"temperature": 0.9},
  "num_prompts": 1773, "num_candidates": 14179},
"features": {"kind": "store", "dtype": "float16", "dim": 17280, "projection": null,
  "num_tokens": 90210},
"scored_tokens": "response",
"options": {"loss": "pairwise", "alpha": 0.01, "weight_decay": 30.0, "schedule": "cosine",
  "epochs": 20, "patience": 4, "batch_size": 256, "validation": 0.15, "gated": true,
  "layers": null, "select_by": "loss"}
}"""


def one_fit(seed: int, learning_rate: float, num_epochs: int, epoch: int) -> dict:
    history = [
        {
            "train_loss": 0.5 / (number + 1) + 0.01 * seed,
            "loss": 0.3 + 0.02 * abs(number - epoch) + 0.0011 * seed + learning_rate,
            "auroc": 0.8 + 0.01 * number + 0.0013 * seed,
            "best_of_n": 0.3 + 0.01 * number + 0.0017 * seed,
            "random": 0.125,
        }
        for number in range(num_epochs)
    ]
    at_best = {key: history[epoch][key] for key in ("loss", "auroc", "best_of_n", "random")}
    fit = {"seed": seed, "learning_rate": learning_rate, "epoch": epoch}
    return {**fit, **at_best, "history": history}


def make_report(fits: list[dict], chosen: int = 0, **options) -> dict:
    report = {**json.loads(REPORT), "fits": fits, "chosen": chosen}
    for name in ("learning_rate", "seed"):
        report["options"][f"{name}s"] = sorted({fit[name] for fit in fits})
    report["options"] |= options
    return report


def twelve_fits() -> list[dict]:
    """Fits that stopped at different epochs."""
    pairs = [(seed, rate) for rate in (1e-4, 2e-4, 5e-4) for seed in range(4)]
    return [one_fit(seed, rate, 5 + seed, 2 + seed % 3) for seed, rate in pairs]
