"""Ways to pick, by enumeration: every subset of every size, in exact fractions."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

NAN = float("nan")


class Case(NamedTuple):
    """One candidate."""

    score: float
    other: float
    correct: bool
    answer: str | None


def cases(max_size: int = 8):
    """Candidates of one prompt with ties, missing scores and missing answers."""
    score = st.sampled_from([NAN, -2.0, -1.0, 0.0, 1.0, 3.0])
    case = st.builds(Case, score, score, st.booleans(), st.sampled_from([None, "a", "b", "c"]))
    return st.lists(case, min_size=1, max_size=max_size)


def average_over_subsets(count: int, accuracy: Callable[[Sequence[int]], Fraction]) -> list[float]:
    """For k = 1 to `count` the mean of `accuracy` over all subsets of k."""
    averages = []
    for size in range(1, count + 1):
        accuracies = [accuracy(subset) for subset in itertools.combinations(range(count), size)]
        averages.append(float(sum(accuracies) / len(accuracies)))
    return averages


def pick_highest(
    scores: Sequence[float | Fraction], correct: Sequence[bool], subset: Sequence[int]
) -> Fraction:
    """Share of right ones among those that score highest; of all where nobody has a score."""
    known = [n for n in subset if not math.isnan(scores[n])]
    best = [n for n in known if scores[n] == max(scores[m] for m in known)] or list(subset)
    return Fraction(sum(correct[n] for n in best), len(best))


def pick_by_vote(
    answers: Sequence[str | None],
    weights: Sequence[float],
    correct: Sequence[bool],
    subset: Sequence[int],
) -> Fraction:
    """Share of right ones among the candidates of each winning answer, averaged over those."""
    votes: dict[str, Fraction] = defaultdict(Fraction)
    for n in subset:
        if answers[n] is not None and weights[n] > 0:
            votes[answers[n]] += Fraction(weights[n])
    if not votes:
        return Fraction(sum(correct[n] for n in subset), len(subset))
    winners = [answer for answer, total in votes.items() if total == max(votes.values())]
    shares = []
    for winner in winners:
        members = [
            right for right, answer in zip(correct, answers, strict=True) if answer == winner
        ]
        shares.append(Fraction(sum(members), len(members)))
    return sum(shares) / len(shares)


def combined_by_rank(
    first: Sequence[float], second: Sequence[float], subset: Sequence[int]
) -> list[Fraction | float]:
    """Minus the worse rank in the subset; NaN for a candidate without both scores."""
    known = [n for n in subset if not math.isnan(first[n]) and not math.isnan(second[n])]

    def rank(scores: Sequence[float], n: int) -> Fraction:
        above = sum(scores[m] > scores[n] for m in known)
        return above + Fraction(sum(scores[m] == scores[n] for m in known) - 1, 2)

    return [-max(rank(first, n), rank(second, n)) if n in known else NAN for n in range(len(first))]


def combined_by_scaling(
    first: Sequence[float], second: Sequence[float], subset: Sequence[int]
) -> list[Fraction | float]:
    """The mean of both scores scaled to the subset's range; NaN without both."""
    known = [n for n in subset if not math.isnan(first[n]) and not math.isnan(second[n])]

    def scaled(scores: Sequence[float], n: int) -> Fraction:
        low, high = min(scores[m] for m in known), max(scores[m] for m in known)
        return Fraction(scores[n] - low) / Fraction(high - low) if high > low else Fraction(0)

    return [
        (scaled(first, n) + scaled(second, n)) / 2 if n in known else NAN for n in range(len(first))
    ]


def columns(rows: Sequence[Case]) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, other scores and right or wrong, `[N]` each."""
    return (
        torch.tensor([row.score for row in rows], dtype=torch.float64),
        torch.tensor([row.other for row in rows], dtype=torch.float64),
        torch.tensor([row.correct for row in rows]),
    )
