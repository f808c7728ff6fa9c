"""Intervals and tests by resampling: known spreads, pairing, groups, and enumeration."""

import itertools
import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swift_bon.statistics import resampling
from swift_bon.statistics.resampling import (
    LARGEST_EXACT,
    Bootstrap,
    percentile_bounds,
    permutation_p_value,
    permutation_p_values,
)

NAN = float("nan")


def test_interval_of_a_known_spread():
    values = torch.tensor([0.0, 1.0] * 200)
    mean, low, high = Bootstrap(400, num_draws=4000).interval(values)
    half_width = 1.96 * 0.5 / 400**0.5
    assert mean == 0.5
    assert low == pytest.approx(0.5 - half_width, abs=0.01)
    assert high == pytest.approx(0.5 + half_width, abs=0.01)


def test_interval_of_a_constant_has_no_width():
    assert Bootstrap(9).interval(torch.full((9,), 0.25)) == (0.25, 0.25, 0.25)


def test_draws_are_the_same_for_every_method():
    values = torch.rand(50, generator=torch.Generator().manual_seed(1))
    bootstrap = Bootstrap(50)
    assert bootstrap.interval(values) == bootstrap.interval(values)
    assert bootstrap.interval(values) != Bootstrap(50, seed=1).interval(values)
    shifted = bootstrap.interval(values + 1)  # paired: a constant difference has no spread
    assert [s - v for s, v in zip(shifted, bootstrap.interval(values), strict=True)] == (
        pytest.approx([1, 1, 1])
    )
    both = bootstrap.means(torch.stack([values, values + 1], dim=1))
    torch.testing.assert_close(both[:, 0], bootstrap.means(values))
    torch.testing.assert_close(both[:, 1] - both[:, 0], torch.ones(2000, dtype=torch.float64))


def test_means_are_those_of_the_prompts_drawn():
    values = torch.tensor([[1.0, NAN], [10.0, 2.0], [100.0, 4.0]])
    generator = torch.Generator().manual_seed(0)
    draws = torch.randint(3, (500, 3), generator=generator)
    expected = values.double()[draws]  # [500, 3, 2]
    actual = Bootstrap(3, num_draws=500).means(values)
    torch.testing.assert_close(actual[:, 0], expected[..., 0].mean(dim=1))
    torch.testing.assert_close(actual[:, 1], expected[..., 1].nanmean(dim=1), equal_nan=True)
    assert actual[:, 1].isnan().any()  # a draw of nothing but the first prompt


def test_groups_are_drawn_as_a_whole():
    """Ten groups of ten equal values are no more than ten values."""
    values = torch.tensor([0.0, 1.0] * 5)
    few = Bootstrap(10).interval(values)
    many = Bootstrap(100, torch.arange(100) // 10).interval(values.repeat_interleave(10))
    assert many == pytest.approx(few)
    apart = Bootstrap(100).interval(values.repeat_interleave(10))
    assert apart.high - apart.low < (few.high - few.low) / 2


def test_groups_of_unequal_size_are_weighted_by_their_prompts():
    values = torch.tensor([0.0, 1.0, 1.0, 1.0])
    means = Bootstrap(4, torch.tensor([0, 1, 1, 1])).means(values)
    assert set(means.tolist()) == {0.0, 0.75, 1.0}  # both groups: three of four prompts


def test_ratio_is_that_of_the_same_draws():
    numerator = torch.rand(40, generator=torch.Generator().manual_seed(0)) + 1
    assert Bootstrap(40).ratio_interval(numerator, numerator / 2) == pytest.approx((2, 2, 2))
    ratio = Bootstrap(40).ratio_interval(numerator, torch.ones(40))
    assert ratio == pytest.approx(Bootstrap(40).interval(numerator))


def test_ratio_of_nothing_to_nothing_is_left_out():
    """One prompt of ten is right: most draws with it have it in both, others say nothing."""
    right = torch.tensor([1.0] + [0.0] * 9)
    assert Bootstrap(10).ratio_interval(right, right / 4) == pytest.approx((4, 4, 4))
    nothing = Bootstrap(3).ratio_interval(torch.zeros(3), torch.zeros(3))
    assert all(math.isnan(value) for value in nothing)
    assert Bootstrap(3).ratio_interval(torch.ones(3), torch.zeros(3)).mean == math.inf


def test_many_prompts_are_drawn_in_pieces(monkeypatch):
    values = torch.rand(60, generator=torch.Generator().manual_seed(1))
    whole = Bootstrap(60, num_draws=500).interval(values)
    monkeypatch.setattr(resampling, "CHUNK_ELEMENTS", 60 * 7)
    pieces = Bootstrap(60, num_draws=500)
    assert pieces.means(values).shape == (500,)
    assert pieces.interval(values) == pytest.approx(whole, abs=0.02)


def test_percentiles():
    means = torch.stack([torch.arange(101.0), torch.full((101,), NAN)], dim=1).double()
    means[0, 1] = 5.0
    low, high = percentile_bounds(means, 0.9)
    assert low.tolist() == pytest.approx([5.0, 5.0])
    assert high.tolist() == pytest.approx([95.0, 5.0])
    wide = torch.arange(3.0).double()[:, None].expand(3, 2**24 // 3 + 8)
    assert (percentile_bounds(wide, 0.5)[1] == 1.5).all()  # more than `quantile` takes at a time


def brute_force_p_value(differences) -> float:
    """Of all ways to swap the methods on each prompt, the share that are as far from 0."""
    signs = itertools.product((-1, 1), repeat=len(differences))
    observed = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(row, differences, strict=True))) for row in signs]
    return sum(total >= observed for total in sums) / len(sums)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_p_value_equals_enumeration(differences):
    actual = permutation_p_value(torch.tensor(differences))
    assert actual == pytest.approx(brute_force_p_value(differences))


def test_differences_that_add_up_inexactly_still_count_as_far():
    """0.1 + 0.2 + 0.3 in another order must not come out below itself."""
    draw = random.Random(0)
    for _ in range(50):
        tenths = [draw.choice([-7, -3, -2, -1, 1, 2, 3, 7]) for _ in range(5)]
        differences = torch.tensor(tenths, dtype=torch.float64) / 10
        assert permutation_p_value(differences) == brute_force_p_value(tenths)


def test_p_value_of_no_difference_is_one():
    assert permutation_p_value(torch.zeros(50)) == 1.0


def test_p_value_of_groups():
    """Swapped as a whole, twenty equal prompts of one group are one observation."""
    differences = torch.ones(20)
    assert permutation_p_value(differences, torch.zeros(20, dtype=torch.int64)) == 1.0
    two = torch.arange(20) // 10
    assert permutation_p_value(differences, two) == 0.5
    assert permutation_p_value(differences) < 0.001


def test_drawn_p_values_come_close_to_exact_ones(monkeypatch):
    differences = torch.tensor([1.0, 1, 1, 1, 1, 1, 1, -1, 1, -1, 1, 2])
    exact = permutation_p_value(differences)
    monkeypatch.setattr(resampling, "LARGEST_EXACT", 0)
    drawn = permutation_p_value(differences, num_draws=20_000)
    assert 0.001 < exact < 0.1
    assert drawn == pytest.approx(exact, abs=0.005)
    assert permutation_p_value(differences, seed=1, num_draws=20_000) != drawn
    monkeypatch.setattr(resampling, "CHUNK_ELEMENTS", 100)
    assert permutation_p_value(differences, num_draws=20_000) == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize("count", [LARGEST_EXACT, LARGEST_EXACT + 1])
def test_up_to_thirteen_groups_that_differ_are_enumerated(count):
    """Prompts without a difference are no obstacle, and do not change the value."""
    differences = torch.cat([torch.ones(count), torch.zeros(40)])
    p_value = permutation_p_value(differences, num_draws=99)
    assert p_value == (2 / 2**count if count == LARGEST_EXACT else 0.01)


def test_p_values_of_several_differences_are_those_of_each():
    generator = torch.Generator().manual_seed(0)
    differences = torch.randn(40, 3, generator=generator).double() + 0.2
    differences[5:, 2] = 0  # enumerated
    groups = torch.arange(40) // 2
    actual = permutation_p_values(differences, groups)
    for number in range(3):
        assert actual[number] == permutation_p_value(differences[:, number], groups)
    assert actual.unique().numel() == 3


def test_draws_that_are_kept_are_those_that_are_drawn_again(monkeypatch):
    values = torch.rand(60, generator=torch.Generator().manual_seed(1))
    kept = Bootstrap(60, num_draws=100)
    first, second = kept.means(values), kept.means(values)
    assert torch.equal(first, second)
    monkeypatch.setattr(resampling, "CHUNK_ELEMENTS", 60 * 99)
    assert torch.equal(Bootstrap(60, num_draws=99).means(values), first[:99])


def test_drawn_p_value_is_never_zero():
    differences = torch.ones(LARGEST_EXACT + 50)
    assert permutation_p_value(differences, num_draws=99) == 0.01
