"""Names of methods and what they say."""

import pytest

from swift_bon.candidates.score_names import (
    FREE_SCORES,
    LABELS,
    LOWER_IS_BETTER,
    check_score_names,
    combination_label,
    combination_name,
    label,
    score_family,
    vote_label,
)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("entropy", "free", "lowest mean entropy"),
        ("swift", "head", "SWIFT's pick"),
        ("Skywork-8B", "reward", "Skywork-8B"),
        ("judge_vote", "reward", "judge_vote"),  # a name is no grammar
        ("ranked by rank", "reward", "ranked by rank"),
        ("a+b blended", "reward", "a+b blended"),
    ],
)
def test_scores(name, kind, words):
    assert score_family(name) == kind
    assert label(name) == words


def test_what_is_made_of_scores():
    assert combination_name("swift", "mean_logprob", "by scaling") == (
        "swift+mean_logprob by scaling"
    )
    assert combination_label("swift", "mean_logprob", "by rank") == (
        "SWIFT + log-probability, by rank"
    )
    assert combination_label("swift", "Judge+1", "blended") == "SWIFT + Judge+1, blended"
    assert vote_label("swift") == LABELS["swift_vote"] == "vote weighted by SWIFT"


def test_every_free_score_has_a_label_and_a_direction():
    assert set(FREE_SCORES) <= LABELS.keys()
    assert set(FREE_SCORES) >= LOWER_IS_BETTER


@pytest.mark.parametrize(
    "names", [["seed"], ["oracle"], ["a", "swift_vote"], ["majority_vote"], ["judge", "judge_vote"]]
)
def test_names_that_mean_something_else(names):
    with pytest.raises(ValueError, match=f"a score is named '{names[-1]}', which means something"):
        check_score_names(names)


def test_names_that_do_not():
    check_score_names(["swift", "judge_vote", "vote", "_vote", *FREE_SCORES])
