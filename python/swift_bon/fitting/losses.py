"""The losses a head is fitted with. Each is a sum over prompts and a count of what it sums.

The definition, for the candidates of one prompt: scores `s` [N], labels `y` [N] (1 right, 0 wrong)
and `alpha`. A test runs these lines and holds every loss against them.

    margin = (2 * y - 1) * s
    difference = s[y == 1][:, None] - s[y == 0]  # [right, wrong]
    target = softmax(y / alpha, dim=0)

    bce = -logsigmoid(margin).sum()
    hinge = relu(1 - margin).sum()
    dpo = -logsigmoid(difference).sum()
    pairwise = -logsigmoid(difference).mean()
    infonca = -(target * log_softmax(s, dim=0)).sum()
    nca = -(target * logsigmoid(s) + logsigmoid(-s) / len(s)).sum()

`bce` and `hinge` sum over candidates and `dpo` over pairs, so that a prompt with more of them
weighs more. The others take one term of each prompt that has something to compare: a right and a
wrong candidate (`pairwise`), or two candidates. The loss of a batch is the sum of its terms over
their number. The number depends on the labels alone, so a batch may come in parts:

    sum(total(part) for part in parts) / sum(count(part).sum() for part in parts)

Sources: arXiv 2505.12225 (the paper's code has all but `pairwise`), arXiv 2402.05369 for `infonca`
and `nca`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid, relu

DEFAULT_ALPHA = 0.01  # the temperature of the labels in the paper's code


@dataclass(frozen=True)
class Loss:
    """A loss as two pure functions of a part of a batch.

    `total(scores, correct, present, alpha)` returns `[S]`, in the precision of the scores and
    differentiable: the sum of the terms, for each of S heads.

    `count(correct, present)` returns `[P]` float64: how many of these terms each prompt brings, 0
    where it teaches nothing.

    Args:
        scores: `[S, P, N]`, float32 or float64: S heads that saw the same P prompts, padded to N
            candidates. Padding may hold anything, NaN too, and its gradient is 0. A candidate
            without a scored token scores -inf: it has nothing to learn from, so it is padding.
        correct: `[P, N]` bool.
        present: `[P, N]` bool, False at padding.
        alpha: above 0; how softly `infonca` and `nca` take the labels, the others ignore it.
    """

    total: Callable[[Tensor, Tensor, Tensor, float], Tensor]
    count: Callable[[Tensor, Tensor], Tensor]


def _count_candidates(correct: Tensor, present: Tensor) -> Tensor:
    return present.sum(dim=1).double()


def _count_pairs(correct: Tensor, present: Tensor) -> Tensor:
    return _pairs(correct, present).sum(dim=(1, 2)).double()


def _count_prompts_with_pairs(correct: Tensor, present: Tensor) -> Tensor:
    return (_count_pairs(correct, present) > 0).double()


def _count_prompts_to_compare(correct: Tensor, present: Tensor) -> Tensor:
    return (present.sum(dim=1) >= 2).double()


def _bce(scores: Tensor, correct: Tensor, present: Tensor, alpha: float) -> Tensor:
    losses = -logsigmoid(_margins(scores, correct, present))  # [S, P, N]
    return torch.where(present, losses, 0).sum(dim=(1, 2))


def _hinge(scores: Tensor, correct: Tensor, present: Tensor, alpha: float) -> Tensor:
    losses = relu(1 - _margins(scores, correct, present))  # [S, P, N]
    return torch.where(present, losses, 0).sum(dim=(1, 2))


def _dpo(scores: Tensor, correct: Tensor, present: Tensor, alpha: float) -> Tensor:
    return _pair_sums(scores, correct, present).sum(dim=1)


def _pairwise(scores: Tensor, correct: Tensor, present: Tensor, alpha: float) -> Tensor:
    num_pairs = _count_pairs(correct, present).clamp(min=1).to(scores.dtype)  # [P]
    return (_pair_sums(scores, correct, present) / num_pairs).sum(dim=1)


def _infonca(scores: Tensor, correct: Tensor, present: Tensor, alpha: float) -> Tensor:
    # the lowest finite number, not -inf: a prompt of nothing but padding would become NaN
    logits = torch.where(present, scores, torch.finfo(scores.dtype).min)
    losses = -_targets(correct, present, alpha, scores.dtype) * log_softmax(logits, dim=2)
    counted = _candidates_to_compare(correct, present)
    return torch.where(counted, losses, 0).sum(dim=(1, 2))


def _nca(scores: Tensor, correct: Tensor, present: Tensor, alpha: float) -> Tensor:
    scores = _kept(scores, present)
    targets = _targets(correct, present, alpha, scores.dtype)  # [P, N]
    num_candidates = present.sum(dim=1, keepdim=True).clamp(min=1)  # [P, 1]
    losses = -targets * logsigmoid(scores) - logsigmoid(-scores) / num_candidates  # [S, P, N]
    counted = _candidates_to_compare(correct, present)
    return torch.where(counted, losses, 0).sum(dim=(1, 2))


def _kept(scores: Tensor, present: Tensor) -> Tensor:
    """The scores, 0 at padding: selected before anything is computed, or NaN enters gradients."""
    return torch.where(present, scores, 0)


def _margins(scores: Tensor, correct: Tensor, present: Tensor) -> Tensor:
    """`[S, P, N]`: how far each score lies on the side of its label."""
    scores = _kept(scores, present)
    return torch.where(correct, scores, -scores)


def _pairs(correct: Tensor, present: Tensor) -> Tensor:
    """`[P, N, N]` bool: the first candidate is right, the second wrong."""
    return (correct & present)[:, :, None] & (~correct & present)[:, None, :]


def _pair_sums(scores: Tensor, correct: Tensor, present: Tensor) -> Tensor:
    """`[S, P]`: the sum over the pairs of each prompt, 0 without any."""
    scores, pairs = _kept(scores, present), _pairs(correct, present)
    differences = scores[:, :, :, None] - scores[:, :, None, :]  # [S, P, N, N]
    return torch.where(pairs, -logsigmoid(differences), 0).sum(dim=(2, 3))


def _candidates_to_compare(correct: Tensor, present: Tensor) -> Tensor:
    """`[P, N]` bool: the candidates of prompts that have two or more."""
    return present & (_count_prompts_to_compare(correct, present) > 0)[:, None]


def _targets(correct: Tensor, present: Tensor, alpha: float, dtype: torch.dtype) -> Tensor:
    """`[P, N]`: the softmax of `y / alpha` over the candidates of a prompt, 0 at padding."""
    labels = torch.where(present, correct.double() / alpha, float("-inf"))
    return torch.where(present, labels.softmax(dim=1), 0).to(dtype)


LossName = Literal["bce", "hinge", "dpo", "infonca", "nca", "pairwise"]
LOSSES: dict[LossName, Loss] = {
    "bce": Loss(_bce, _count_candidates),
    "hinge": Loss(_hinge, _count_candidates),
    "dpo": Loss(_dpo, _count_pairs),
    "infonca": Loss(_infonca, _count_prompts_to_compare),
    "nca": Loss(_nca, _count_prompts_to_compare),
    "pairwise": Loss(_pairwise, _count_prompts_with_pairs),
}
