"""Statistics of best-of-N as pure tensor functions. P prompts, N candidates."""

from typing import NamedTuple

import torch
from torch import Tensor

from swift_bon.statistics.best_of_k import count_ranks


def picked_accuracy(scores: Tensor, correct: Tensor) -> Tensor:
    """Accuracy of picking the highest score of each prompt, `[P]`.

    Args:
        scores: `[P, N]`; NaN where there is no candidate or no score.
        correct: `[P, N]` bool.

    Ties are split fairly: the mean over the tied candidates. A prompt without any score counts as
    a random pick among its candidates.

    >>> import torch
    >>> from swift_bon.statistics import picked_accuracy
    >>> scores = torch.tensor([[0.1, 0.9], [0.5, 0.5]])
    >>> picked_accuracy(scores, torch.tensor([[False, True], [True, False]])).tolist()
    [1.0, 0.5]
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

    >>> import torch
    >>> from swift_bon.statistics import auroc
    >>> auroc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([False, False, True, True]))
    0.75
    """
    correct = correct.bool()
    return float(auroc_within(scores.double()[None], correct[None]))


def auroc_within(scores: Tensor, correct: Tensor) -> Tensor:
    """`auroc` among the candidates of each prompt, float64 `[P]`.

    Args:
        scores: `[P, N]`; NaN where there is no candidate or no score: it is left out.
        correct: `[P, N]` bool.

    NaN for a prompt without a right and a wrong candidate.

    >>> import torch
    >>> from swift_bon.statistics import auroc_within
    >>> scores = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    >>> auroc_within(scores, torch.tensor([[False, True, False], [True, True, True]])).tolist()
    [0.5, nan]
    """
    is_known = ~scores.isnan()
    num_below, num_up_to = count_ranks(scores, is_known)
    mean_rank = (num_below + num_up_to + 1).double() / 2  # from 1, ties share theirs
    is_right = correct & is_known
    num_right = is_right.sum(dim=1).double()
    num_wrong = (is_known & ~correct).sum(dim=1)
    rank_sum = torch.where(is_right, mean_rank, 0).sum(dim=1)
    return (rank_sum - num_right * (num_right + 1) / 2) / (num_right * num_wrong)


class CalibrationBin(NamedTuple):
    """Candidates of similar probability."""

    count: int  # type: ignore[assignment]  # a tuple's method of that name is not missed
    probability: float  # their mean
    accuracy: float


class Calibration(NamedTuple):
    """Whether a probability of being right is that."""

    ece: float  # expected calibration error: mean distance of probability and accuracy
    brier: float  # mean squared error of the probability
    bins: list[CalibrationBin]


def calibration(probabilities: Tensor, correct: Tensor, num_bins: int = 10) -> Calibration:
    """Reliability over bins of as many candidates each.

    Args:
        probabilities: `[M]` from 0 to 1, without NaN; correct: `[M]` bool.

    Candidates of one probability share what is right among them, so that their order is no matter.

    >>> import torch
    >>> from swift_bon.statistics import calibration
    >>> probabilities = torch.tensor([0.25, 0.25, 0.75, 0.75])
    >>> measured = calibration(probabilities, torch.tensor([False, False, True, False]), num_bins=2)
    >>> measured.ece, [(one.count, one.probability, one.accuracy) for one in measured.bins]
    (0.25, [(2, 0.25, 0.0), (2, 0.75, 0.5)])
    """
    brier = float((probabilities.double() - correct.double()).square().mean())
    probabilities, order = probabilities.double().sort()
    _, places, counts = probabilities.unique_consecutive(return_inverse=True, return_counts=True)
    correct = correct[order].double()
    num_right = correct.new_zeros(len(counts)).index_add_(0, places, correct)
    correct = (num_right / counts)[places]
    bins = [
        CalibrationBin(len(chunk), float(chunk.mean()), float(right.mean()))
        for chunk, right in zip(
            probabilities.tensor_split(num_bins), correct.tensor_split(num_bins), strict=True
        )
        if len(chunk)
    ]
    total = max(len(order), 1)
    ece = sum(row.count * abs(row.probability - row.accuracy) for row in bins) / total
    return Calibration(ece, brier, bins)
