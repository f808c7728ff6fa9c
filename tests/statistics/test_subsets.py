"""Subsets: all of few candidates, balanced draws of many; picks inside them."""

import math

import pytest
import torch
from hypothesis import given

from brute_force import average_over_subsets, cases, columns, pick_highest
from swift_bon.statistics.best_of_k import best_of_k_accuracy
from swift_bon.statistics.subsets import (
    EVERY_SIZE,
    LARGEST_EXACT,
    NUM_ORDERS,
    NUM_ROTATIONS,
    Subsets,
    drawn_sizes,
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


@pytest.mark.parametrize("count", [LARGEST_EXACT + 1, 40, EVERY_SIZE, 100, 300])
def test_drawn_subsets(count):
    subsets = make_subsets(count)
    assert not subsets.is_exact
    assert torch.equal(subsets.masks.sum(dim=0), subsets.sizes.float())
    num_of_size = subsets.sizes.bincount(minlength=count + 1)
    assert num_of_size[1] == count
    assert num_of_size[count] == 1
    complete = {1, count} | ({count - 1} if count <= EVERY_SIZE else set())
    assert len({tuple(row) for row in subsets.masks[:, subsets.sizes == 1].T.tolist()}) == count
    if count <= EVERY_SIZE:
        last = subsets.masks[:, subsets.sizes == count - 1]
        assert len({tuple(row) for row in last.T.tolist()}) == count
    drawn = set(drawn_sizes(count))
    assert drawn.isdisjoint(complete)
    assert all(num_of_size[size] == NUM_ORDERS for size in drawn)
    if count <= EVERY_SIZE:
        assert drawn | complete == set(range(1, count + 1))
    again = make_subsets.__wrapped__(count)
    assert torch.equal(again.masks, subsets.masks)
    assert (make_subsets(count, seed=1).masks != subsets.masks).any()


def test_orders_grow_by_one_candidate_and_share_few_at_first():
    count = 40
    subsets = make_subsets(count)
    masks = subsets.masks[:, count : count + NUM_ORDERS * len(drawn_sizes(count))]
    orders = masks.view(count, NUM_ORDERS, -1)  # [N, orders, sizes]
    assert (orders.diff(dim=2) >= 0).all()
    quarter = orders[:, :, count // 4 - 2].view(count, -1, NUM_ROTATIONS)  # of size N / 4
    assert (quarter.sum(dim=2) == 1).all()  # four beginnings of one order have all candidates


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(13, list(range(2, 12))), (64, list(range(2, 63))), (65, list(range(2, 65)))],
)
def test_sizes_that_are_drawn(count, sizes):
    assert drawn_sizes(count) == sizes


def test_large_sizes_grow_by_a_tenth():
    sizes = drawn_sizes(1000)
    assert sizes[:63] == list(range(2, 65))
    assert sizes[63:66] == [70, 77, 84]
    assert sizes[-1] < 1000


def test_sizes_between_are_interpolated():
    subsets = make_subsets(100)
    means = subsets.average(subsets.sizes.double() ** 2)
    assert means[[0, 1, 63, 69, 99]].tolist() == [1, 4, 64**2, 70**2, 100**2]
    assert means[66].item() == pytest.approx((64**2 + 70**2) / 2)


def test_average_takes_each_size_apart():
    subsets = make_subsets(3)
    assert subsets.average(subsets.sizes.double() * 10).tolist() == [10.0, 20.0, 30.0]


@given(cases())
def test_picks_equal_brute_force(rows):
    scores, _, correct = columns(rows)
    subsets = make_subsets(len(rows))
    actual = subsets.average(pick_in_subsets(spread(scores, subsets), correct, subsets))
    expected = average_over_subsets(
        len(rows), lambda s: pick_highest(scores.tolist(), correct.tolist(), s)
    )
    assert actual.tolist() == pytest.approx(expected, abs=1e-12)


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
