"""What an evaluation can be asked: which pairs, which reference, which names of scores."""

import pytest

from evaluation_cases import PROMPTS, random_prompts
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.candidates.score_names import RECORD_FIELDS
from swift_bon.evaluation.comparison import evaluate_candidates


def test_pairs_and_reference_of_choice():
    prompts = random_prompts(20, 3, reward=True)
    record = evaluate_candidates(
        prompts, combine=[("length", "Judge-7B")], reference="majority_vote"
    )
    names = [method["name"] for method in record["methods"]]
    assert [name for name in names if "+" in name] == [
        f"length+Judge-7B {how}" for how in ("by rank", "by scaling", "blended")
    ]
    assert record["differences"]["majority_vote - swift"][0] == pytest.approx(
        record["majority_vote"] - record["swift"]
    )
    # the shortest is the best: length is turned before it is combined
    assert evaluate_candidates(prompts, combine=[])["length"] == record["length"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"combine": [("swift", "gold")]}, r"combine has 'swift\+gold', expected two different sc"),
        ({"combine": [("swift", "swift")]}, "expected two different scores of the candidates"),
        ({"combine": [("swift",)]}, "combine has 'swift', expected two"),
        ({"combine": ["swift+gold"]}, r"combine has 'swift\+gold', expected two"),
        ({"combine": ["swift"]}, "combine has 'swift', expected two"),
        ({"seed": 2**63}, "seed is 9223372036854775808, expected 0 or more, below"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"reference": "gold"}, "reference is 'gold', expected one of random, mean_logprob"),
        ({"num_draws": 0}, "num_draws is 0"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValueError, match=message):
        evaluate_candidates(PROMPTS, **settings)


@pytest.mark.parametrize("name", ["seed", "oracle", "majority_vote", "swift_vote", "curves"])
def test_scores_named_as_something_else_are_refused(name):
    row = StoredCandidate("a", [1], True, None, {name: 1.0})
    with pytest.raises(ValueError, match=f"a score is named '{name}', which means something"):
        evaluate_candidates([PromptCandidates("a", "p", "", [row])])


def test_no_part_of_the_record_can_be_taken_by_a_score():
    record = evaluate_candidates(random_prompts(5, 3))
    names = {method["name"] for method in record["methods"]}
    assert set(RECORD_FIELDS) == record.keys() - names


def test_the_first_score_is_the_reference_where_there_is_no_other():
    rows = [StoredCandidate("a", [1], n == 2, None, {"judge": float(n)}) for n in range(3)]
    record = evaluate_candidates([PromptCandidates("a", "p", "", rows)])
    assert record["reference"] == "judge"
    assert record["differences"]["judge - random"][0] == pytest.approx(2 / 3)


def test_pairs_with_a_plus_in_a_name_and_named_twice():
    rows = [StoredCandidate("a", [1], n > 1, None, {"a+b": n, "c": -n, "a": 1.0}) for n in range(3)]
    prompts = [PromptCandidates(f"{n}", "p", "", rows) for n in range(3)]
    record = evaluate_candidates(prompts, combine=["a+b+c", "c+a+b", ("c", "a+b"), "a+c"])
    names = [m["name"] for m in record["methods"] if m["family"] == "combination"]
    assert names[::3] == ["a+b+c by rank", "a+c by rank"]
    assert len(names) == 6
