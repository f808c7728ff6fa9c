"""Subsets: all of few candidates, balanced draws of many; picks inside them."""

import math

import pytest
import torch
from hypothesis import given

from brute_force import average_over_subsets, cases, columns, pick_highest
from swift_bon.statistics.best_of_k import best_of_k_accuracy
from swift_bon.statistics.subsets import (
    LARGEST_EXACT,
    NUM_ORDERS,
    Subsets,
    make_subsets,
    pick_in_subsets,
)


def spread(scores: torch.Tensor, subsets: Subsets) -> torch.Tensor:
    """`[N]` as `[N, S]`, -inf outside of a subset and for NaN."""
    is_in = (subsets.masks > 0) & ~scores.isnan()[:, None]
    return torch.where(is_in, scores[:, None], float("-inf"))


@pytest.mark.parametrize("count", [1, 2, 3, 8, LARGEST_EXACT])
def test_all_subsets_of_few(count):
    subsets = make_subsets(count)
    assert subsets.is_exact
    assert len({tuple(row) for row in subsets.masks.T.tolist()}) == 2**count - 1
    assert torch.equal(subsets.masks.sum(dim=0), subsets.sizes.float())
    assert subsets.sizes.bincount()[1:].tolist() == [
        math.comb(count, k) for k in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [LARGEST_EXACT + 1, 40, NUM_ORDERS, 100])
def test_drawn_subsets(count):
    subsets = make_subsets(count)
    assert not subsets.is_exact
    assert torch.equal(subsets.masks.sum(dim=0), subsets.sizes.float())
    num_orders = subsets.sizes.bincount()[1:]
    assert (num_orders == num_orders[0]).all()
    assert num_orders[0] >= NUM_ORDERS
    orders = subsets.masks.T.reshape(-1, count, count)  # an order grows by one candidate at a time
    assert (orders.diff(dim=1) >= 0).all()
    if count <= NUM_ORDERS:  # each candidate in equally many subsets of a size
        for size in range(1, count + 1):
            times = subsets.masks[:, subsets.sizes == size].sum(dim=1)
            assert (times == times[0]).all()
    assert (make_subsets(count, seed=1).masks != subsets.masks).any()
    again = make_subsets.__wrapped__(count)
    assert torch.equal(again.masks, subsets.masks)


def test_average_takes_each_size_apart():
    subsets = make_subsets(3)
    assert subsets.average(subsets.sizes.double() * 10).tolist() == [10.0, 20.0, 30.0]


@given(cases())
def test_picks_equal_brute_force(rows):
    scores, _, correct = columns(rows)
    subsets = make_subsets(len(rows))
    found = subsets.average(pick_in_subsets(spread(scores, subsets), correct, subsets))
    expected = average_over_subsets(
        len(rows), lambda s: pick_highest(scores.tolist(), correct.tolist(), s)
    )
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_draws_come_close_to_the_closed_form():
    generator = torch.Generator().manual_seed(3)
    subsets = make_subsets(32)
    scores = torch.randn(200, 32, generator=generator).double()
    correct = torch.rand(200, 32, generator=generator) < 0.3
    drawn = torch.stack(
        [
            subsets.average(pick_in_subsets(spread(row, subsets), right, subsets))
            for row, right in zip(scores, correct, strict=True)
        ]
    )
    exact = best_of_k_accuracy(scores, correct)
    assert (drawn.mean(dim=0) - exact.mean(dim=0)).abs().max() < 0.02
    for size in (0, 31):
        torch.testing.assert_close(drawn[:, size], exact[:, size])
