"""Statistics of best-of-N as pure tensor functions. P prompts, N candidates."""

from typing import NamedTuple

import torch
from torch import Tensor


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
    values = values.double()
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(len(values), (num_draws, len(values)), generator=generator)
    means = values[draws].mean(dim=1)  # [num_draws]
    tail = (1 - confidence) / 2
    low, high = means.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(float(values.mean()), low, high)
