"""Statistics on tables made by hand, and against brute force."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swift_bon.statistics import auroc, auroc_within, calibration, picked_accuracy

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


ROWS = st.lists(st.tuples(st.sampled_from([NAN, -1.0, 0.0, 1.0]), st.booleans()), min_size=1)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_auroc_within_takes_prompts_apart(prompts):
    """Equal to `auroc` of each prompt's candidates that have a score."""
    width = max(map(len, prompts))
    scores = torch.full((len(prompts), width), NAN)
    correct = torch.zeros(len(prompts), width, dtype=torch.bool)
    for number, rows in enumerate(prompts):
        scores[number, : len(rows)] = torch.tensor([score for score, _ in rows])
        correct[number, : len(rows)] = torch.tensor([right for _, right in rows])
    actual = auroc_within(scores, correct)
    for number, rows in enumerate(prompts):
        known = [(score, right) for score, right in rows if not math.isnan(score)]
        expected = NAN
        if known:
            expected = auroc(
                torch.tensor([s for s, _ in known]), torch.tensor([r for _, r in known])
            )
        assert actual[number].item() == pytest.approx(expected, nan_ok=True)


def test_calibration_by_hand():
    probabilities = torch.tensor([0.9, 0.1, 0.3, 0.7])
    correct = torch.tensor([True, False, True, True])
    actual = calibration(probabilities, correct, num_bins=2)
    assert [row.count for row in actual.bins] == [2, 2]
    assert [row.probability for row in actual.bins] == pytest.approx([0.2, 0.8])
    assert [row.accuracy for row in actual.bins] == [0.5, 1.0]
    assert actual.ece == pytest.approx((0.3 + 0.2) / 2)
    assert actual.brier == pytest.approx((0.01 + 0.01 + 0.49 + 0.09) / 4)


def test_calibration_of_what_is_calibrated():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(50_000, generator=generator)
    correct = torch.rand(50_000, generator=generator) < probabilities
    actual = calibration(probabilities, correct)
    assert [row.count for row in actual.bins] == [5000] * 10
    assert actual.ece < 0.015
    assert actual.brier == pytest.approx(1 / 6, abs=0.01)
    assert calibration(probabilities.square(), correct).ece > 0.1


@pytest.mark.parametrize("count", [0, 1, 3])
def test_calibration_of_few(count):
    actual = calibration(torch.full((count,), 0.25), torch.zeros(count, dtype=torch.bool))
    assert sum(row.count for row in actual.bins) == count
    assert actual.ece == (0.25 if count else 0)


def test_calibration_does_not_depend_on_the_order_of_equal_probabilities():
    correct = torch.tensor([True] * 20 + [False] * 20)
    tied = torch.full((40,), 0.5)
    forward = torch.arange(40)
    for order in (forward, forward.flip(0), forward.view(2, 20).T.flatten()):
        actual = calibration(tied, correct[order])
        assert actual.ece == 0.0
        assert actual.brier == pytest.approx(0.25)
