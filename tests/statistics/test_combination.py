"""Two scores made one, in every subset anew: against exact fractions."""

import math

import pytest
import torch
from hypothesis import given

from brute_force import (
    NAN,
    average_over_subsets,
    cases,
    columns,
    combined_by_rank,
    combined_by_scaling,
    pick_highest,
)
from swift_bon.statistics.combination import combine_by_rank, combine_by_scaling
from swift_bon.statistics.subsets import make_subsets, pick_in_subsets

FORMS = [
    pytest.param(combine_by_rank, combined_by_rank, id="rank"),
    pytest.param(combine_by_scaling, combined_by_scaling, id="scaling"),
]
ALL = torch.ones(3, 1)
INF = float("inf")


def test_the_worse_rank_by_hand():
    first, second = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 3.0])
    assert combine_by_rank(first, second, ALL)[:, 0].tolist() == [-2.0, -1.0, -2.0]  # from 0
    tied = torch.tensor([5.0, 5.0, 1.0])
    assert combine_by_rank(tied, tied, ALL)[:, 0].tolist() == [-0.5, -0.5, -2.0]


def test_scaled_scores_by_hand():
    first, second = torch.tensor([0.0, 5.0, 10.0]), torch.tensor([-1.0, 1.0, -1.0])
    assert combine_by_scaling(first, second, ALL)[:, 0].tolist() == [0.0, 0.75, 0.5]
    flat = torch.tensor([4.0, 4.0, 4.0])
    assert combine_by_scaling(first, flat, ALL)[:, 0].tolist() == [0.0, 0.25, 0.5]


def test_a_rank_is_that_in_the_subset():
    first, second = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 3.0])
    masks = torch.tensor([[1.0], [0.0], [1.0]])
    assert combine_by_rank(first, second, masks)[:, 0].tolist() == [-1.0, -INF, -1.0]
    first[1] = 100.0  # who is not in the subset does not matter
    assert combine_by_scaling(first, second, masks)[:, 0].tolist() == [0.5, -INF, 0.5]


@pytest.mark.parametrize("combine", [combine_by_rank, combine_by_scaling])
def test_without_both_scores_there_is_none(combine):
    first, second = torch.tensor([NAN, 2.0, 1.0]), torch.tensor([9.0, NAN, 3.0])
    assert combine(first, second, ALL)[:, 0].tolist() == [-INF, -INF, 0.0]


@pytest.mark.parametrize(("combine", "exact"), FORMS)
@given(rows=cases(7))
def test_equals_brute_force(combine, exact, rows):
    first, second, correct = columns(rows)
    pair = first.tolist(), second.tolist()
    subsets = make_subsets(len(rows))
    actual = combine(first, second, subsets.masks)
    accuracy = subsets.average(pick_in_subsets(actual, correct, subsets))
    expected = average_over_subsets(
        len(rows), lambda s: pick_highest(exact(*pair, s), correct.tolist(), s)
    )
    assert accuracy.tolist() == pytest.approx(expected, abs=1e-12)
    among_all = [-INF if math.isnan(x) else float(x) for x in exact(*pair, range(len(rows)))]
    assert actual[:, subsets.sizes.argmax()].tolist() == pytest.approx(among_all, abs=1e-9)
