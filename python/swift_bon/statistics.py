"""Statistics of best-of-N as pure tensor functions. P prompts, N candidates."""

from typing import NamedTuple

import torch
from torch import Tensor

RATIO_FLOOR = 1e-12  # against a division by an accuracy of zero


class Interval(NamedTuple):
    """A mean over prompts with the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float


def picked_accuracy(scores: Tensor, correct: Tensor) -> Tensor:
    """Accuracy of picking the highest score of each prompt, `[P]`.

    Args:
        scores: `[P, N]`; NaN where there is no candidate or no score.
        correct: `[P, N]` bool.

    Ties are split fairly: the mean over the tied candidates. A prompt without any score counts as
    a random pick among its candidates.
    """
    scores = scores.double()
    has_score = ~scores.isnan()
    best = torch.where(has_score, scores, float("-inf")).amax(dim=1, keepdim=True)  # [P, 1]
    is_best = (scores == best) & has_score
    is_best = torch.where(is_best.any(dim=1, keepdim=True), is_best, torch.ones_like(is_best))
    return (is_best & correct).sum(dim=1).double() / is_best.sum(dim=1)


def auroc(scores: Tensor, correct: Tensor) -> float:
    """Chance that a right candidate scores higher than a wrong one, ties counting half.

    Args:
        scores, correct: `[M]` each, pooled over prompts. NaN where one class is missing.
    """
    scores, correct = scores.double(), correct.bool()
    num_right, num_wrong = int(correct.sum()), int((~correct).sum())
    if num_right == 0 or num_wrong == 0:
        return float("nan")
    _, inverse, counts = scores.unique(return_inverse=True, return_counts=True)
    upper = counts.cumsum(0).double()
    mean_rank = upper - (counts - 1) / 2  # [unique], ranks from 1, ties share theirs
    rank_sum = mean_rank[inverse][correct].sum()
    return float((rank_sum - num_right * (num_right + 1) / 2) / (num_right * num_wrong))


def bootstrap_interval(
    values: Tensor, *, num_draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Mean over prompts and its percentile bootstrap interval, drawing prompts.

    Args:
        values: `[P]`. For a paired comparison give the difference of two methods.
    """
    (means,) = _bootstrap_means(values, num_draws=num_draws, seed=seed)
    return Interval(float(values.double().mean()), *_percentiles(means, confidence))


def bootstrap_ratio_interval(
    numerator: Tensor,
    denominator: Tensor,
    *,
    num_draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Ratio of two means over prompts, `[P]` each, and its interval, drawing prompts for both."""
    means = _bootstrap_means(numerator, denominator, num_draws=num_draws, seed=seed)
    ratios = means[0] / means[1].clamp(min=RATIO_FLOOR)
    ratio = numerator.double().mean() / denominator.double().mean().clamp(min=RATIO_FLOOR)
    return Interval(float(ratio), *_percentiles(ratios, confidence))


def _bootstrap_means(*values: Tensor, num_draws: int, seed: int) -> list[Tensor]:
    """Means `[num_draws]` of each of some `[P]`, over the same draws of prompts."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(len(values[0]), (num_draws, len(values[0])), generator=generator)
    return [column.double()[draws].mean(dim=1) for column in values]


def _percentiles(means: Tensor, confidence: float) -> list[float]:
    tail = (1 - confidence) / 2
    return means.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
