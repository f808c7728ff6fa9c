"""Subsets of candidates, for ways to pick that have no closed form: votes, ranks, scaled scores."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

LARGEST_EXACT = 12  # candidates: 4,095 subsets, about as many as are drawn for more candidates
NUM_ORDERS = 64


class Subsets(NamedTuple):
    """S subsets of N candidates, the same for every prompt of N."""

    masks: Tensor  # [N, S] float32, 1 = in the subset: a subset is a column, reductions are fast
    sizes: Tensor  # [S] int64
    is_exact: bool  # all subsets there are

    def average(self, values: Tensor) -> Tensor:
        """Mean over the subsets of each size, `[S]` to `[N]`."""
        num_candidates = len(self.masks)
        sums = values.new_zeros(num_candidates + 1).index_add_(0, self.sizes, values)
        return (sums / self.sizes.bincount(minlength=num_candidates + 1))[1:]


@lru_cache(maxsize=32)
def make_subsets(num_candidates: int, seed: int = 0) -> Subsets:
    """All subsets of up to 12 candidates; of more, the beginnings of seeded random orders.

    An order comes with its rotations, evenly spaced: with all of them each candidate is in equally
    many subsets of a size, and sizes 1 and N are exact.
    """
    if num_candidates <= LARGEST_EXACT:
        numbers = torch.arange(1, 2**num_candidates)
        masks = (numbers >> torch.arange(num_candidates)[:, None]) & 1
        return Subsets(masks.float(), masks.sum(dim=0), True)
    generator = torch.Generator().manual_seed(seed)
    num_rotations = min(num_candidates, NUM_ORDERS)
    orders = []
    for _ in range(-(-NUM_ORDERS // num_rotations)):
        order = torch.randperm(num_candidates, generator=generator)
        shifts = torch.arange(num_rotations) * num_candidates // num_rotations
        orders.append(order[(torch.arange(num_candidates) + shifts[:, None]) % num_candidates])
    places = torch.cat(orders).argsort(dim=1).T  # [N, orders]: where each candidate stands
    sizes = torch.arange(1, num_candidates + 1)
    masks = (places[:, :, None] < sizes).float().flatten(1)
    return Subsets(masks, sizes.repeat(places.shape[1]), False)


def pick_in_subsets(scores: Tensor, correct: Tensor, subsets: Subsets) -> Tensor:
    """Accuracy of picking the highest score in each subset, float64 `[S]`.

    Args:
        scores: `[N, S]`; -inf for a candidate that is not in the subset or has no score.
        correct: `[N]` bool.

    Ties are split fairly; a subset without any score counts as a random pick.
    """
    best = scores.amax(dim=0)
    has_score = best > float("-inf")
    counted = torch.stack([correct.float(), torch.ones(len(correct))])  # [2, N]
    num_right, num_best = (counted @ (scores == best).float()).double()
    picked = num_right / num_best
    if has_score.all():
        return picked
    return torch.where(has_score, picked, random_in_subsets(correct, subsets))


def random_in_subsets(correct: Tensor, subsets: Subsets) -> Tensor:
    """The share of right candidates in each subset, float64 `[S]`."""
    return (correct.float() @ subsets.masks).double() / subsets.sizes
