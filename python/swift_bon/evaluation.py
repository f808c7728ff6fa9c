"""Does the pick beat the alternatives? Accuracies of a candidates file, with intervals."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from swift_bon.candidate_files import read_candidates
from swift_bon.candidates import PromptCandidates
from swift_bon.statistics import (
    Interval,
    auroc,
    bootstrap_interval,
    bootstrap_ratio_interval,
    picked_accuracy,
)


def evaluate(path: str | Path, *, num_draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Accuracy of each way to pick one of N, with paired bootstrap intervals over questions.

    Args:
        path: candidates with the scores "swift" and "mean_logprob", as `collect --head` writes.
        num_draws, seed: of the bootstrap.

    Returns:
        the record that `swift-bon evaluate --json` prints: `random`, `mean_logprob`, `swift`,
        `oracle` (accuracies), `intervals`, `differences` to `random` and `mean_logprob`, AUROC.

    Raises:
        FileNotFoundError, ValueError: no such file, or a candidate misses a score.
    """
    return evaluate_candidates(read_candidates(path), num_draws=num_draws, seed=seed)


def evaluate_candidates(
    prompts: Sequence[PromptCandidates], *, num_draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """`evaluate` for candidates in memory."""
    if not prompts:
        raise ValueError("there are no prompts to evaluate; collect some first")
    accuracies = accuracy_by_method(prompts)
    draw = {"num_draws": num_draws, "seed": seed}  # the same questions for every method: paired
    record: dict[str, Any] = {
        "num_prompts": len(prompts),
        "num_candidates": sum(len(prompt.candidates) for prompt in prompts),
    }
    record |= {name: float(values.mean()) for name, values in accuracies.items()}
    record["intervals"] = {
        name: list(bootstrap_interval(values, **draw)[1:]) for name, values in accuracies.items()
    }
    record["differences"] = {
        f"swift - {other}": _rounded(
            bootstrap_interval(accuracies["swift"] - accuracies[other], **draw)
        )
        for other in ("random", "mean_logprob")
        if "swift" in accuracies and other in accuracies
    }
    if "swift" in accuracies:
        record["swift_over_random"] = list(
            bootstrap_ratio_interval(accuracies["swift"], accuracies["random"], **draw)
        )
    record["auroc"] = {
        name: auroc(*_pooled(prompts, name))
        for name in ("mean_logprob", "swift")
        if name in accuracies
    }
    return record


def accuracy_by_method(prompts: Sequence[PromptCandidates]) -> dict[str, Tensor]:
    """Per prompt `[P]`: a random candidate, the best by each score, and any right one (oracle)."""
    correct = [torch.tensor([c.correct for c in prompt.candidates]) for prompt in prompts]
    methods = {"random": torch.stack([row.double().mean() for row in correct])}
    for name in ("mean_logprob", "swift"):
        if any(name in candidate.scores for p in prompts for candidate in p.candidates):
            methods[name] = torch.cat(
                [
                    picked_accuracy(_scores(prompt, name)[None], row[None])
                    for prompt, row in zip(prompts, correct, strict=True)
                ]
            )
    methods["oracle"] = torch.stack([row.any().double() for row in correct])
    return methods


def _scores(prompt: PromptCandidates, name: str) -> Tensor:
    """`[N]`; a candidate whose score was not finite has none, and never wins."""
    return torch.tensor([c.scores.get(name, float("nan")) for c in prompt.candidates])


def _pooled(prompts: Sequence[PromptCandidates], name: str) -> tuple[Tensor, Tensor]:
    scores = torch.cat([_scores(prompt, name) for prompt in prompts])
    correct = torch.tensor([c.correct for prompt in prompts for c in prompt.candidates])
    return scores[~scores.isnan()], correct[~scores.isnan()]


def _rounded(interval: Interval) -> list[float]:
    return [round(value, 6) for value in interval]


def print_evaluation(record: dict[str, Any], console: Console) -> None:
    """The accuracies as a table, and what the differences are."""
    num_prompts = record["num_prompts"]
    table = Table(title=f"{num_prompts} questions, {record['num_candidates']} candidates")
    for heading in ("pick", "accuracy", "95% interval", "AUROC"):
        table.add_column(heading, justify="left" if heading == "pick" else "right")
    for name, label in METHOD_LABELS.items():
        if name in record:
            low, high = record["intervals"][name]
            area = record["auroc"].get(name)
            table.add_row(
                label,
                f"{record[name]:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{area:.3f}" if area is not None and math.isfinite(area) else "",
            )
    console.print(table)
    for name, (mean, low, high) in record["differences"].items():
        console.print(f"{name}: {mean:+.3f} ({low:+.3f} to {high:+.3f}, paired bootstrap)")
    if "swift_over_random" in record:
        ratio, low, high = record["swift_over_random"]
        console.print(f"swift / random: {ratio:.2f}x ({low:.2f}x to {high:.2f}x)")


METHOD_LABELS = {
    "random": "random sample",
    "mean_logprob": "most likely sample (mean log-probability)",
    "swift": "SWIFT's pick",
    "oracle": "oracle (any right one)",
}
