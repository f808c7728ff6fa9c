"""Subsets of candidates, for ways to pick that have no closed form: votes, ranks, scaled scores."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

LARGEST_EXACT = 12  # candidates: 4,095 subsets, about as many as are drawn for more candidates
NUM_ORDERS = 64
NUM_ROTATIONS = 4  # of each: up to a quarter of the candidates their beginnings have none in common
EVERY_SIZE = 64  # up to here; larger sizes grow by a tenth, and what is between is interpolated


class Subsets(NamedTuple):
    """S subsets of N candidates, the same for every prompt of N.

    >>> from swift_bon.statistics import Subsets, make_subsets
    >>> subsets: Subsets = make_subsets(3)
    >>> subsets.average(subsets.sizes.double()).tolist()  # a mean for each size
    [1.0, 2.0, 3.0]
    """

    masks: Tensor  # [N, S] float32, 1 = in the subset: a subset is a column, reductions are fast
    sizes: Tensor  # [S] int64
    is_exact: bool  # all subsets there are

    def average(self, values: Tensor) -> Tensor:
        """Mean over the subsets of each size, `[S]` to `[N]`; linear between sizes not drawn."""
        num_candidates = len(self.masks)
        sums = values.new_zeros(num_candidates + 1).index_add_(0, self.sizes, values)[1:]
        counts = self.sizes.bincount(minlength=num_candidates + 1)[1:]
        known = counts.nonzero().flatten()
        means = sums[known] / counts[known]
        places = torch.arange(num_candidates, dtype=torch.int64, device="cpu")
        after = torch.searchsorted(known, places)  # the first known size that is not smaller
        before = (after - (known[after] > places).long()).clamp(min=0)
        width = (known[after] - known[before]).clamp(min=1)
        share = (places - known[before]).double() / width
        return torch.lerp(means[before], means[after], share)


@lru_cache(maxsize=2)  # prompts come sorted by their number of candidates
def make_subsets(num_candidates: int, seed: int = 0) -> Subsets:
    """All subsets of up to 12 candidates; of more, 64 of each size, seeded.

    Those are the beginnings of 16 random orders, each also begun a quarter, a half and three
    quarters further on, so that they share few candidates. Single candidates, all but one of them
    (of up to 64) and all are complete, so that these sizes are exact.

    >>> from swift_bon.statistics import make_subsets
    >>> subsets = make_subsets(3)
    >>> subsets.masks.shape, subsets.sizes.tolist(), subsets.is_exact
    (torch.Size([3, 7]), [1, 1, 2, 1, 2, 2, 3], True)
    """
    candidates = torch.arange(num_candidates, dtype=torch.int64, device="cpu")
    if num_candidates <= LARGEST_EXACT:
        numbers = torch.arange(1, 2**num_candidates, dtype=torch.int64, device="cpu")
        masks = (numbers >> candidates[:, None]) & 1
        return Subsets(masks.float(), masks.sum(dim=0), True)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    rotations = torch.arange(NUM_ROTATIONS, dtype=torch.int64, device="cpu")
    shifts = rotations * num_candidates // NUM_ROTATIONS
    turned = (candidates + shifts[:, None]) % num_candidates
    orders = [
        torch.randperm(num_candidates, generator=generator, device="cpu")[turned]
        for _ in range(NUM_ORDERS // NUM_ROTATIONS)
    ]
    places = torch.cat(orders).argsort(dim=1).T  # [N, orders]: where each candidate stands
    sizes = torch.tensor(drawn_sizes(num_candidates), dtype=torch.int64, device="cpu")
    drawn = (places[:, :, None] < sizes).float().flatten(1)
    single = torch.eye(num_candidates, dtype=torch.float32, device="cpu")
    parts = [single, drawn, single.new_ones(num_candidates, 1)]
    if num_candidates <= EVERY_SIZE:
        parts.append(1 - single)
    masks = torch.cat(parts, dim=1)
    return Subsets(masks, masks.sum(dim=0).long(), False)


def drawn_sizes(num_candidates: int) -> list[int]:
    """Sizes of subsets that are drawn, from 2 on; those that are complete are not among them."""
    end = num_candidates - (num_candidates <= EVERY_SIZE)
    sizes, size = [], 2
    while size < end:
        sizes.append(size)
        size += size // 10 if size >= EVERY_SIZE else 1
    return sizes


def pick_in_subsets(scores: Tensor, correct: Tensor, subsets: Subsets) -> Tensor:
    """Accuracy of picking the highest score in each subset, float64 `[S]`.

    Args:
        scores: `[N, S]`; -inf for a candidate that is not in the subset or has no score.
        correct: `[N]` bool.

    Ties are split fairly; a subset without any score counts as a random pick.
    """
    best = scores.amax(dim=0)
    has_score = best > float("-inf")
    correct = correct.float()
    counted = torch.stack([correct, torch.ones_like(correct)])  # [2, N]
    num_right, num_best = (counted @ (scores == best).float()).double()
    picked = num_right / num_best
    if has_score.all():
        return picked
    return torch.where(has_score, picked, random_in_subsets(correct, subsets))


def random_in_subsets(correct: Tensor, subsets: Subsets) -> Tensor:
    """The share of right candidates in each subset, float64 `[S]`."""
    return (correct.float() @ subsets.masks).double() / subsets.sizes
