"""Closed forms of best-of-k against all subsets, and tables made by hand."""

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brute_force import NAN, average_over_subsets, cases, columns, pick_highest
from swift_bon.statistics import picked_accuracy
from swift_bon.statistics.best_of_k import (
    best_of_k_accuracy,
    binomial_ratios,
    count_ranks,
    pass_at_k,
)

INF = float("inf")


@pytest.mark.parametrize(
    ("scores", "correct", "expected"),
    [
        ([1, 2, 3], [0, 0, 1], [1 / 3, 2 / 3, 1]),
        ([1, 2, 3], [1, 1, 0], [2 / 3, 1 / 3, 0]),
        ([3, 3, 1], [1, 0, 0], [1 / 3, 0.5, 0.5]),  # a tie is split
        ([NAN, 1, 2], [1, 0, 0], [1 / 3, 0, 0]),  # NaN never wins
        ([NAN, NAN, -INF], [0, 0, 1], [1 / 3, 2 / 3, 1]),
        ([NAN, NAN, NAN, NAN], [1, 0, 0, 0], [0.25] * 4),  # no score at all: a random pick
        ([INF, 5], [1, 0], [0.5, 1]),
        ([7], [1], [1]),
    ],
)
def test_by_hand(scores, correct, expected):
    actual = best_of_k_accuracy(torch.tensor([scores]).float(), torch.tensor([correct]).bool())
    assert actual[0].tolist() == pytest.approx(expected)


@given(cases())
def test_equals_brute_force(rows):
    scores, _, correct = columns(rows)
    expected = average_over_subsets(
        len(rows), lambda s: pick_highest(scores.tolist(), correct.tolist(), s)
    )
    actual = best_of_k_accuracy(scores[None], correct[None])
    assert actual[0].tolist() == pytest.approx(expected, abs=1e-12)
    assert actual[0, -1].item() == pytest.approx(
        picked_accuracy(scores[None], correct[None]).item()
    )


@given(st.lists(cases(6), min_size=1, max_size=4))
def test_prompts_of_unequal_n(prompts):
    """Best of more than a prompt has is best of all it has; what stands beyond is never read."""
    width = max(map(len, prompts)) + 1
    scores = torch.full((len(prompts), width), 99.0)
    correct = torch.ones(len(prompts), width, dtype=torch.bool)
    present = torch.zeros(len(prompts), width, dtype=torch.bool)
    for number, rows in enumerate(prompts):
        scores[number, : len(rows)], _, correct[number, : len(rows)] = columns(rows)
        present[number, : len(rows)] = True
    actual = best_of_k_accuracy(scores, correct, present)
    for number, rows in enumerate(prompts):
        alone = best_of_k_accuracy(*(column[None] for column in columns(rows)[::2]))[0]
        expected = [*alone, *[alone[-1]] * (width - len(rows))]
        assert actual[number].tolist() == pytest.approx([float(value) for value in expected])


def test_holes_and_prompts_without_candidates():
    scores = torch.tensor([[9.0, 1.0, 9.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    correct = torch.tensor([[True, False, True, True], [True] * 4])
    present = torch.tensor([[False, True, False, True], [False] * 4])
    actual = best_of_k_accuracy(scores, correct, present)
    assert actual[0].tolist() == [0.5, 1.0, 1.0, 1.0]
    assert actual[1].isnan().all()


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_pass_at_k_equals_brute_force(correct):
    actual = pass_at_k(torch.tensor([correct]))[0].tolist()
    for size, value in enumerate(actual, 1):
        subsets = list(combinations(correct, size))
        assert value == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_many_candidates_do_not_overflow():
    """1,024 candidates, where binomials have 300 digits: against exact integers."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(50, (1, 1024), generator=generator).double()
    correct = torch.rand(1, 1024, generator=generator) < 0.1
    actual = best_of_k_accuracy(scores, correct)[0]
    for k in (1, 2, 100, 512, 1024):
        expected = 0
        for value in range(50):
            below, group = int((scores < value).sum()), scores == value
            if group.any():
                ways = math.comb(below + int(group.sum()), k) - math.comb(below, k)
                share = int((group & correct).sum()) / int(group.sum())
                expected += share * (ways / math.comb(1024, k))
        assert actual[k - 1].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_binomial_ratios(count):
    table = binomial_ratios(count)
    assert table.shape == (count + 1, count)
    for n in range(count + 1):
        for k in range(1, count + 1):
            expected = math.comb(n, k) / math.comb(count, k)
            assert table[n, k - 1].item() == pytest.approx(expected, abs=1e-15)


def test_count_ranks():
    scores = torch.tensor([[NAN, 1.0, 1.0, -INF, NAN]])
    present = torch.tensor([[True, True, True, True, False]])
    num_below, num_up_to = count_ranks(scores, present)
    assert num_below.tolist() == [[0, 2, 2, 1, 0]]
    assert num_up_to.tolist() == [[1, 4, 4, 2, 0]]


def test_shares_of_right_ones():
    actual = best_of_k_accuracy(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.25]]))
    assert actual[0].tolist() == pytest.approx([0.375, 0.25])
