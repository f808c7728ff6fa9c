"""Intervals and tests by resampling prompts, paired: every method sees the same draws.

Prompts that ask for one thing are not independent. Where groups are given, they are drawn as a
whole: the intervals are those of new groups, not of new wordings of the same ones.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

CONFIDENCE = 0.95
NUM_DRAWS = 2000
FEW_GROUPS = 10  # below, percentiles of the draws are too narrow to be believed
NUM_PERMUTATIONS = 10_000
LARGEST_EXACT = 13  # groups that differ: 8,192 ways to swap them
CHUNK_ELEMENTS = 2**23  # drawn at a time
ROUNDING = 1e-9  # relative: sums in another order are no smaller


class Interval(NamedTuple):
    """A mean over prompts with the bounds of its bootstrap interval.

    >>> from swift_bon.statistics import Interval
    >>> mean, low, high = Interval(0.5, low=0.25, high=0.75)
    """

    mean: float
    low: float
    high: float


class Bootstrap:
    """Draws of prompts, with replacement.

    Args:
        num_prompts: P.
        groups: `[P]` numbers from 0; None: each prompt is drawn alone.
        num_draws, seed: of the draws, the same for whatever is asked.

    >>> import torch
    >>> from swift_bon.statistics import Bootstrap
    >>> is_right = torch.tensor([1.0, 0.0, 1.0, 0.0]).repeat(25)  # of a pick for each prompt
    >>> mean, low, high = Bootstrap(100).interval(is_right)
    >>> mean, 0.4 <= low < mean < high <= 0.6
    (0.5, True)
    """

    def __init__(
        self,
        num_prompts: int,
        groups: Tensor | None = None,
        *,
        num_draws: int = NUM_DRAWS,
        seed: int = 0,
    ):
        each = torch.arange(num_prompts, dtype=torch.int64, device="cpu")
        self.groups = each if groups is None else groups
        self.num_groups = int(self.groups.max()) + 1
        self.num_draws = num_draws
        self.seed = seed
        self._kept: list[Tensor] | None = None

    def means(self, values: Tensor) -> Tensor:
        """Mean over the prompts of each draw, float64 `[num_draws, ...]`, of `[P, ...]`.

        NaN is left out; a draw of nothing else is NaN.
        """
        columns = values.double().reshape(len(values), -1)
        is_known = ~columns.isnan()
        terms = torch.cat([torch.where(is_known, columns, 0), is_known.double()], dim=1)
        sums = terms.new_zeros(self.num_groups, terms.shape[1]).index_add_(0, self.groups, terms)
        drawn = torch.cat([counts @ sums for counts in self._counts()])
        total, number = drawn.chunk(2, dim=1)
        return (total / number).reshape(self.num_draws, *values.shape[1:])

    def bounds(self, values: Tensor, confidence: float = CONFIDENCE) -> tuple[Tensor, Tensor]:
        """Lower and upper percentile of `means`, `[...]` each, of `[P, ...]`."""
        return percentile_bounds(self.means(values), confidence)

    def interval(self, values: Tensor, confidence: float = CONFIDENCE) -> Interval:
        """Of one column `[P]`."""
        low, high = self.bounds(values, confidence)
        return Interval(float(values.double().nanmean()), float(low), float(high))

    def ratio_interval(
        self, numerator: Tensor, denominator: Tensor, confidence: float = CONFIDENCE
    ) -> Interval:
        """Of the ratio of two means, `[P]` each, over the same draws."""
        both = torch.stack([numerator, denominator], dim=1).double()
        drawn, mean = self.means(both), both.mean(dim=0)
        low, high = percentile_bounds(drawn[:, 0] / drawn[:, 1], confidence)  # 0/0 is left out
        return Interval(float(mean[0] / mean[1]), float(low), float(high))

    def _counts(self) -> Iterable[Tensor]:
        """How often each group was drawn, float64 `[draws, groups]` at a time; kept if small."""
        if self._kept is None and self.num_draws * self.num_groups <= CHUNK_ELEMENTS:
            self._kept = list(self._draw())
        return self._draw() if self._kept is None else self._kept

    def _draw(self) -> Iterator[Tensor]:
        generator = torch.Generator(device="cpu").manual_seed(self.seed)
        step = max(1, CHUNK_ELEMENTS // self.num_groups)
        for start in range(0, self.num_draws, step):
            num_rows = min(step, self.num_draws - start)
            shape = (num_rows, self.num_groups)
            draws = torch.empty(shape, dtype=torch.int64, device="cpu")
            draws.random_(self.num_groups, generator=generator)
            counts = torch.zeros(shape, dtype=torch.float64, device="cpu")
            yield counts.scatter_add_(1, draws, counts.new_ones(()).expand(shape))


def percentile_bounds(means: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
    """Of each column of `[draws, ...]`; NaN draws are left out."""
    tail = (1 - confidence) / 2
    quantiles = torch.tensor([tail, 1 - tail], dtype=torch.float64, device="cpu")
    columns = means.reshape(len(means), -1)
    # `quantile` refuses more than 16 million numbers at a time
    chunks = columns.split(max(1, CHUNK_ELEMENTS // 2 // len(means)), dim=1)
    bounds = [chunk.nanquantile(quantiles, dim=0) for chunk in chunks]
    low, high = torch.cat(bounds, dim=1).reshape(2, *means.shape[1:])
    return low, high


def permutation_p_value(
    differences: Tensor,
    groups: Tensor | None = None,
    *,
    num_draws: int = NUM_PERMUTATIONS,
    seed: int = 0,
) -> float:
    """`permutation_p_values` of one column `[P]`.

    >>> import torch
    >>> from swift_bon.statistics import permutation_p_value
    >>> permutation_p_value(torch.tensor([1.0, 1.0, 1.0, 0.0]))  # 2 of 8 ways are as far from 0
    0.25
    """
    column = differences[:, None]
    return float(permutation_p_values(column, groups, num_draws=num_draws, seed=seed))


def permutation_p_values(
    differences: Tensor,
    groups: Tensor | None = None,
    *,
    num_draws: int = NUM_PERMUTATIONS,
    seed: int = 0,
) -> Tensor:
    """Two-sided p-values of mean differences of two methods, by swapping them at random.

    Args:
        differences: `[P, M]`, of one method minus another for each prompt.
        groups: `[P]` numbers from 0, swapped as a whole; None: each prompt alone.

    Returns:
        float64 `[M]`. If neither method were better, the sign of each difference would be chance.
        Exact where at most 13 groups differ; else the share of random sign flips that are as far
        from 0, counting the observed one, so that it is never 0.
    """
    differences = differences.double()
    if groups is not None:
        sums = differences.new_zeros(int(groups.max()) + 1, differences.shape[1])
        differences = sums.index_add_(0, groups, differences)
    observed = differences.sum(dim=0).abs() - ROUNDING * differences.abs().sum(dim=0)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    step = max(1, CHUNK_ELEMENTS // len(differences))
    num_as_far = torch.ones_like(observed)
    for start in range(0, num_draws, step):
        size = (min(step, num_draws - start), len(differences))
        drawn = torch.randint(2, size, generator=generator, dtype=torch.int64, device="cpu")
        signs = drawn.double() * 2 - 1
        num_as_far += ((signs @ differences).abs() >= observed).sum(dim=0)
    p_values = num_as_far / (num_draws + 1)
    for number, column in enumerate(differences.T):
        differing = column[column != 0]
        if len(differing) <= LARGEST_EXACT:
            numbers = torch.arange(2 ** len(differing), dtype=torch.int64, device="cpu")
            bits = torch.arange(len(differing), dtype=torch.int64, device="cpu")
            signs = ((numbers[:, None] >> bits) & 1).double() * 2 - 1
            is_as_far = (signs @ differing).abs() >= observed[number]
            p_values[number] = is_as_far.double().mean()
    return p_values
