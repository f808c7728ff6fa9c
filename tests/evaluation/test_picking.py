"""What each method picks: every accuracy is that of its picks, over subsets and among all."""

import pytest
import torch

from brute_force import (
    average_over_subsets,
    combined_by_rank,
    combined_by_scaling,
    pick_by_vote,
    pick_highest,
)
from evaluation_cases import PROMPTS, prompt, random_prompts
from swift_bon.evaluation.candidate_table import tabulate
from swift_bon.evaluation.picking import NO_PICK, first_best, pick_with_all_methods

PAIRS = [("swift", "mean_logprob")]
NAN, INF = float("nan"), float("inf")


def pick_all(prompts):
    table = tabulate(prompts)
    methods = pick_with_all_methods(table, [p.id for p in prompts], PAIRS)
    return table, {name: method.picks for name, method in methods.items()}


def test_every_method_against_brute_force():
    """Prompts of unequal N, through all the layers; the blend's scores are taken as they are."""
    prompts = [*random_prompts(3, 5), *random_prompts(2, 3, seed=1)]
    prompts = [type(p)(f"{n}", p.prompt, "", p.candidates) for n, p in enumerate(prompts)]
    _, picks = pick_all(prompts)
    for number, actual in enumerate(prompts):
        blended = picks["swift+mean_logprob blended"].scores[number].tolist()
        count = len(actual.candidates)
        for name, accuracy in exact_methods(actual, blended).items():
            curve = average_over_subsets(count, accuracy)
            curve += [curve[-1]] * (5 - count)
            ours = picks[name].accuracy[number].tolist()
            assert ours == pytest.approx(curve, abs=1e-9), name


def exact_methods(prompt, blended: list[float]):
    """By name, the accuracy of each method in a subset."""
    rows, correct = prompt.candidates, list(prompt.correct)
    swift, logprob = ([c.scores[name] for c in rows] for name in PAIRS[0])
    short = [-c.scores["length"] for c in rows]
    answers = [c.answer for c in rows]
    weights = torch.tensor(swift, dtype=torch.float64).sigmoid().tolist()

    def by_score(scores):
        return lambda subset: pick_highest(scores, correct, subset)

    def by_combination(combine):
        return lambda subset: pick_highest(combine(swift, logprob, subset), correct, subset)

    return {
        "random": by_score([NAN] * len(rows)),
        "swift": by_score(swift),
        "length": by_score(short),
        "swift+mean_logprob blended": by_score(blended),
        "majority_vote": lambda s: pick_by_vote(answers, [1] * len(rows), correct, s),
        "swift_vote": lambda s: pick_by_vote(answers, weights, correct, s),
        "oracle": lambda s: any(correct[n] for n in s),
        "swift+mean_logprob by rank": by_combination(combined_by_rank),
        "swift+mean_logprob by scaling": by_combination(combined_by_scaling),
    }


def test_the_pick_among_all_is_as_right_as_the_accuracy():
    """Where nothing ties, the last point of a curve is the pick itself."""
    prompts = random_prompts(40, 14)
    table, picks = pick_all(prompts)
    for name, actual in picks.items():
        if name in ("random", "majority_vote", "length") or name.endswith("by rank"):
            continue
        for row, index in enumerate(actual.indices):
            right = index != NO_PICK and bool(table.correct[row, index])
            assert actual.accuracy[row, -1].item() == pytest.approx(float(right)), name
    assert picks["random"].indices == [NO_PICK] * 40
    votes = picks["majority_vote"]
    for row, index in enumerate(votes.indices):
        answers = table.answers[row][table.answers[row] >= 0]
        assert answers.bincount()[table.answers[row, index]] == answers.bincount().max()


def test_missing_scores_and_no_answers():
    table, picks = pick_all(PROMPTS)
    assert "majority_vote" not in picks
    assert "swift_vote" not in picks
    assert picks["swift"].indices == [0, 1, 0, 1]  # of "d" the first with a score
    assert picks["oracle"].indices == [0, 1, NO_PICK, 0]
    assert picks["swift+mean_logprob by rank"].indices[3] == 1
    nothing = prompt("e", [(True, NAN, NAN), (False, NAN, NAN)], "ab")
    _, picks = pick_all([nothing])
    for name in ("swift", "swift_vote", "swift+mean_logprob by rank", "swift+mean_logprob blended"):
        assert picks[name].indices == [NO_PICK]
        assert picks[name].accuracy.tolist() == [[0.5, 0.5]]


def test_first_best():
    scores = torch.tensor([[1.0, 3.0, 3.0], [NAN, NAN, NAN], [NAN, -1.0, -INF], [-INF] * 3])
    assert first_best(scores) == [1, NO_PICK, 1, NO_PICK]


def test_threads_are_put_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pick_all(random_prompts(3, 3))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
