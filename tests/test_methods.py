"""Names of methods and what they say."""

import pytest

from swift_bon.methods import FREE_SCORES, LABELS, LOWER_IS_BETTER, combination_name, family, label


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("random", "bound", "random sample"),
        ("oracle", "bound", "oracle (any right one)"),
        ("entropy", "free", "lowest mean entropy"),
        ("swift", "head", "SWIFT's pick"),
        ("majority_vote", "vote", "majority vote"),
        ("swift_vote", "vote", "vote weighted by SWIFT"),
        ("Skywork-8B", "reward", "Skywork-8B"),
        ("swift+Sky+work blended", "combination", "SWIFT + Sky + work, blended"),
        ("swift+length by rank", "combination", "SWIFT + shortest, by rank"),
    ],
)
def test_labels_and_families(name, kind, words):
    assert family(name) == kind
    assert label(name) == words


def test_names_of_combinations():
    assert combination_name("swift", "mean_logprob", "by scaling") == (
        "swift+mean_logprob by scaling"
    )


def test_every_free_score_has_a_label_and_a_direction():
    assert set(FREE_SCORES) <= LABELS.keys()
    assert set(FREE_SCORES) >= LOWER_IS_BETTER
