"""Statistics on tables made by hand, and against brute force."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swift_bon.statistics import auroc, bootstrap_interval, picked_accuracy

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("scores", "correct", "expected"),
    [
        ([1, 2, 3], [0, 0, 1], 1.0),
        ([1, 2, 3], [1, 1, 0], 0.0),
        ([3, 3, 1], [1, 0, 0], 0.5),  # a tie is split
        ([3, 3, 3], [1, 0, 1], 2 / 3),
        ([NAN, 1, 2], [1, 0, 0], 0.0),  # NaN never wins
        ([NAN, NAN, -INF], [0, 0, 1], 1.0),
        ([NAN, NAN, NAN, NAN], [1, 0, 0, 0], 0.25),  # no score at all: a random pick
        ([-INF, -INF], [1, 0], 0.5),
        ([7], [1], 1.0),
    ],
)
def test_picked_accuracy_by_hand(scores, correct, expected):
    picked = picked_accuracy(torch.tensor([scores]).float(), torch.tensor([correct]).bool())
    assert picked.tolist() == pytest.approx([expected])


def test_picked_accuracy_takes_prompts_apart():
    scores = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    assert picked_accuracy(scores, torch.tensor([[False, True]] * 2)).tolist() == [1.0, 0.0]


@given(st.lists(st.tuples(st.integers(-2, 2), st.booleans()), min_size=1, max_size=12))
def test_auroc_is_the_share_of_ordered_pairs(rows):
    right = [score for score, correct in rows if correct]
    wrong = [score for score, correct in rows if not correct]
    area = auroc(torch.tensor([s for s, _ in rows]).float(), torch.tensor([c for _, c in rows]))
    if not right or not wrong:
        assert math.isnan(area)
        return
    pairs = [(r > w) + (r == w) / 2 for r, w in itertools.product(right, wrong)]
    assert area == pytest.approx(sum(pairs) / len(pairs))


def test_bootstrap_interval_of_a_known_spread():
    values = torch.tensor([0.0, 1.0] * 200)
    mean, low, high = bootstrap_interval(values, num_draws=4000)
    half_width = 1.96 * 0.5 / 400**0.5
    assert mean == 0.5
    assert low == pytest.approx(0.5 - half_width, abs=0.01)
    assert high == pytest.approx(0.5 + half_width, abs=0.01)


def test_bootstrap_interval_of_a_constant_has_no_width():
    assert bootstrap_interval(torch.full((9,), 0.25)) == (0.25, 0.25, 0.25)


def test_bootstrap_draws_are_the_same_for_every_method():
    values = torch.rand(50, generator=torch.Generator().manual_seed(1))
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)
    shifted = bootstrap_interval(values + 1)  # paired: a constant difference has no spread
    assert [s - v for s, v in zip(shifted, bootstrap_interval(values), strict=True)] == (
        pytest.approx([1, 1, 1])
    )
