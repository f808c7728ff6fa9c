"""Accuracy of best-of-k for every k, averaged over all subsets of the candidates, in closed form.

Shapes: P prompts, at most N candidates each, k from 1 to N. Where a prompt has fewer than k, the
best of k is the best of all it has, so that every k speaks of the same prompts.
"""

import torch
from torch import Tensor

ABSENT = -1  # below every key of a candidate


def best_of_k_accuracy(scores: Tensor, correct: Tensor, present: Tensor | None = None) -> Tensor:
    """Accuracy of picking the highest score of k candidates, float64 `[P, N]`, k = 1 to N.

    Args:
        scores: `[P, N]`. NaN loses to every score; where all k are NaN, the pick is random.
        correct: `[P, N]`, bool or the share of right ones.
        present: `[P, N]` bool, where there is a candidate at all; None: everywhere.

    Ties are split fairly. The highest of a random subset lies in a group of tied candidates with
    the probability that the subset has none above and some of the group: a difference of two
    ratios of binomials. Within the group each one is as likely.

    >>> import torch
    >>> from swift_bon.statistics import best_of_k_accuracy
    >>> scores = torch.tensor([[3.0, 2.0, 1.0]])
    >>> best_of_k_accuracy(scores, torch.tensor([[False, True, False]])).round(decimals=3).tolist()
    [[0.333, 0.333, 0.0]]
    """
    present = torch.ones_like(scores, dtype=torch.bool) if present is None else present
    num_below, num_up_to = count_ranks(scores, present)
    share = torch.where(present, correct.double(), 0) / (num_up_to - num_below).clamp(min=1)
    num_candidates = present.sum(dim=1)
    width = scores.shape[1]
    # of each row of the ratios
    weights = torch.zeros(len(scores), width + 1, dtype=torch.float64, device="cpu")
    weights.scatter_add_(1, num_up_to, share)
    weights.scatter_add_(1, num_below, -share)
    accuracy = torch.full((len(scores), width), float("nan"), dtype=torch.float64, device="cpu")
    for count in num_candidates.unique().tolist():
        if count == 0:
            continue
        rows = num_candidates == count
        ratios = binomial_ratios(count)  # [count + 1, count]
        known = weights[rows, : count + 1] @ ratios
        accuracy[rows] = torch.cat([known, known[:, -1:].expand(-1, width - count)], dim=1)
    return accuracy.clamp(0, 1)


def pass_at_k(correct: Tensor, present: Tensor | None = None) -> Tensor:
    """Chance that any of k candidates is right, float64 `[P, N]`, k = 1 to N (arXiv 2107.03374).

    >>> import torch
    >>> from swift_bon.statistics import pass_at_k
    >>> pass_at_k(torch.tensor([[False, True, False, False]])).tolist()
    [[0.25, 0.5, 0.75, 1.0]]
    """
    return best_of_k_accuracy(correct.double(), correct, present)


def count_ranks(scores: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """How many candidates of the prompt score lower, and how many lower or the same.

    int64 `[P, N]` each, both 0 where there is no candidate. NaN is the lowest score, below -inf.
    """
    is_nan = scores.isnan()
    keys = torch.where(is_nan, 0, scores).unique(return_inverse=True)[1] + 1
    keys = torch.where(is_nan, 0, keys)
    keys = torch.where(present, keys, ABSENT)
    ordered = keys.sort(dim=1).values.contiguous()
    keys = keys.contiguous()
    num_absent = (~present).sum(dim=1, keepdim=True)
    num_below = torch.searchsorted(ordered, keys) - num_absent
    num_up_to = torch.searchsorted(ordered, keys, right=True) - num_absent
    return torch.where(present, num_below, 0), torch.where(present, num_up_to, 0)


def binomial_ratios(count: int) -> Tensor:
    """C(n, k) / C(count, k), float64 `[count + 1, count]`: n from 0, k from 1.

    The chance that all of a random subset of k lie among n of the candidates. A product of ratios
    of at most 1, so that nothing overflows.
    """
    n = torch.arange(count + 1, dtype=torch.float64, device="cpu")[:, None]
    taken = torch.arange(count, dtype=torch.float64, device="cpu")[None]
    return ((n - taken).clamp(min=0) / (count - taken)).cumprod(dim=1)
