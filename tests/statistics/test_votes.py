"""Votes over answers, against all subsets and by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from brute_force import NAN, average_over_subsets, cases, columns, pick_by_vote
from swift_bon.statistics.subsets import make_subsets
from swift_bon.statistics.votes import NO_ANSWER, number_answers, vote_accuracy


def vote(answers, weights, correct):
    subsets = make_subsets(len(answers))
    weights = torch.tensor(weights, dtype=torch.float64)
    return vote_accuracy(number_answers(answers), weights, torch.tensor(correct).bool(), subsets)


def test_numbers_of_answers():
    assert number_answers(["b", None, "a", "b", ""]).tolist() == [0, NO_ANSWER, 1, 0, 2]
    assert number_answers([]).tolist() == []


@pytest.mark.parametrize(
    ("answers", "weights", "correct", "all_of_them", "winner"),
    [
        ("aab", [1, 1, 1], [1, 1, 0], 1.0, 0),
        ("baa", [1, 1, 1], [0, 1, 1], 1.0, 1),
        ("ab", [1, 1], [1, 0], 0.5, 0),  # tied answers share the vote
        ("aab", [1, 1, 3], [1, 1, 0], 0.0, 2),
        ("aab", [1, 1, 2], [1, 1, 0], 0.5, 0),
        ([None, "a", None], [1, 1, 1], [1, 0, 1], 0.0, 1),  # who gives no answer has no vote
        ([None, None], [1, 1], [1, 0], 0.5, -1),  # nobody votes: a random pick
        ("ab", [0, 1], [1, 0], 0.0, 1),
        ("ab", [NAN, 1], [1, 0], 0.0, 1),
        ("ab", [NAN, 0], [1, 0], 0.5, -1),
        ("aab", [0.1, 0.2, 0.3], [1, 1, 0], 0.5, 0),  # 0.1 + 0.2 is 0.3, whatever was rounded
        ("baa", [0.3, 0.1, 0.2], [0, 1, 1], 0.5, 0),
        ("aab", [0, 1, 0.5], [1, 1, 0], 1.0, 1),  # who has no vote does not stand for the answer
        ("aab", [1, 1, 1], [1, 0, 0], 0.5, 0),  # an answer is as right as its candidates
    ],
)
def test_by_hand(answers, weights, correct, all_of_them, winner):
    accuracy, index = vote(list(answers), [float(w) for w in weights], correct)
    assert accuracy[-1].item() == pytest.approx(all_of_them)
    assert accuracy[0].item() == pytest.approx(sum(correct) / len(correct))  # one of one
    assert index == winner


@given(cases())
def test_majority_equals_brute_force(rows):
    answers = [row.answer for row in rows]
    correct = [row.correct for row in rows]
    expected = average_over_subsets(
        len(rows), lambda s: pick_by_vote(answers, [1] * len(rows), correct, s)
    )
    actual, _ = vote(answers, [1.0] * len(rows), correct)
    assert actual.tolist() == pytest.approx(expected, abs=1e-12)


@given(cases(), st.data())
def test_weighted_vote_equals_brute_force(rows, data):
    """Weights such as 0.1 + 0.2 and 0.3 must tie: they are fractions of ten."""
    tenths = data.draw(st.lists(st.integers(0, 6), min_size=len(rows), max_size=len(rows)))
    answers = [row.answer for row in rows]
    _, _, correct = columns(rows)
    expected = average_over_subsets(
        len(rows), lambda s: pick_by_vote(answers, tenths, correct.tolist(), s)
    )
    actual, _ = vote(answers, [t / 10 for t in tenths], correct.tolist())
    assert actual.tolist() == pytest.approx(expected, abs=1e-12)
