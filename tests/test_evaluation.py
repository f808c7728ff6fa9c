"""The evaluation of candidates made by hand: what the record says."""

import json
import math

import pytest

from evaluation_cases import PROMPTS, prompt, random_prompts
from swift_bon.candidate_files import append_candidates, write_header
from swift_bon.candidates import PromptCandidates, StoredCandidate
from swift_bon.evaluation import default_pairs, evaluate, evaluate_candidates
from swift_bon.evaluation_record import FIELDS
from swift_bon.tasks import load_task

ALL_METHODS = [
    "random",
    "mean_logprob",
    "length",
    "swift",
    "majority_vote",
    "swift_vote",
    "swift+mean_logprob by rank",
    "swift+mean_logprob by scaling",
    "swift+mean_logprob blended",
    "oracle",
]


def test_accuracies_by_hand():
    record = evaluate_candidates(PROMPTS)
    assert record["random"] == pytest.approx((0.5 + 0.5 + 0 + 0.25) / 4)
    assert record["swift"] == pytest.approx(2 / 4)
    assert record["mean_logprob"] == pytest.approx(2 / 4)
    assert record["oracle"] == pytest.approx(3 / 4)
    assert record["swift_over_random"][0] == pytest.approx(0.5 / 0.3125)
    mean, low, high = record["differences"]["swift - random"]
    assert mean == pytest.approx(0.5 - 0.3125)
    assert low <= mean <= high
    assert record["num_prompts"] == record["num_groups"] == 4
    assert record["num_candidates"] == 10
    assert record["num_fewer"] == 3
    assert record["missing"]["swift"] == 1
    assert record["reference"] == "swift"


def test_curves_by_hand():
    record = evaluate_candidates(PROMPTS)
    assert record["ks"] == [1, 2, 3, 4]
    accuracy = {name: curve["accuracy"] for name, curve in record["curves"].items()}
    assert accuracy["random"] == pytest.approx([record["random"]] * 4)
    # of two candidates of "d" the right one, which has no score, is never the pick
    assert accuracy["swift"] == pytest.approx([0.3125, 0.5, 0.5, 0.5])
    assert accuracy["oracle"] == pytest.approx([0.3125, 2.5 / 4, 2.75 / 4, 3 / 4])
    for name, curve in record["curves"].items():
        assert curve["low"][-1] == record["intervals"][name][0]
        assert all(
            low <= mean + 1e-12 and mean <= high + 1e-12
            for low, mean, high in zip(
                *(curve[k] for k in ("low", "accuracy", "high")), strict=True
            )
        )
        assert record[name] == pytest.approx(curve["accuracy"][-1])


def test_every_method_is_described():
    record = evaluate_candidates(random_prompts(30, 4))
    assert [method["name"] for method in record["methods"]] == ALL_METHODS
    families = {method["name"]: method["family"] for method in record["methods"]}
    assert families["oracle"] == families["random"] == "bound"
    assert families["swift"] == "head"
    assert families["swift_vote"] == "vote"
    assert families["length"] == "free"
    assert families["swift+mean_logprob blended"] == "combination"
    labels = [method["label"] for method in record["methods"]]
    assert len(set(labels)) == len(labels)
    assert "SWIFT + log-probability, by rank" in labels
    assert set(record["differences"]) == {
        f"swift - {name}" for name in ALL_METHODS if name not in ("swift", "oracle")
    }
    assert record["differences"].keys() == record["p_values"].keys()
    assert record["auroc"].keys() == {
        "mean_logprob",
        "length",
        "swift",
        "swift+mean_logprob blended",
    }
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_external_rewards():
    record = evaluate_candidates(random_prompts(20, 3, reward=True))
    families = {method["name"]: method["family"] for method in record["methods"]}
    assert families["Judge-7B"] == "reward"
    assert "swift+Judge-7B blended" in families
    assert default_pairs(["Judge-7B", "mean_logprob"]) == [("mean_logprob", "Judge-7B")]
    assert default_pairs(["Judge-7B"]) == default_pairs(["mean_logprob", "entropy"]) == []


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
    with pytest.raises(ValueError, match=f"a score named '{name}', which means something else"):
        evaluate_candidates([PromptCandidates("a", "p", "", [row])])


def test_no_part_of_the_record_can_be_taken_by_a_score():
    record = evaluate_candidates(random_prompts(5, 3))
    names = {method["name"] for method in record["methods"]}
    assert set(FIELDS) == record.keys() - names


def test_without_scores_of_a_head():
    record = evaluate_candidates([prompt("a", [(True, None, -1.0), (False, None, -2.0)])])
    assert record["mean_logprob"] == 1.0
    assert record["reference"] == "mean_logprob"
    assert record["differences"].keys() == {"mean_logprob - random"}
    assert not {"swift", "swift_over_random", "majority_vote"} & record.keys()


def test_without_any_score():
    plain = prompt("a", [(True, None, math.nan), (False, None, math.nan)], "xy")
    record = evaluate_candidates([plain])
    assert record["random"] == record["majority_vote"] == 0.5
    assert record["missing"]["mean_logprob"] == 2


def test_votes_by_hand():
    rows = [(True, 3.0, -1.0), (False, -1.0, -1.0), (False, -1.0, -1.0)]
    record = evaluate_candidates([prompt("a", rows, "abb")])
    assert record["majority_vote"] == 0.0
    assert record["swift_vote"] == 1.0  # sigmoid(3) is more than twice sigmoid(-1)


def test_calibration_is_of_the_sigmoid():
    record = evaluate_candidates(random_prompts(50, 4))
    bins = record["calibration"]["swift"]["bins"]
    assert sum(row["count"] for row in bins) == 200
    assert all(0 < row["probability"] < 1 for row in bins)
    assert record["calibration"]["mean_logprob"]["bins"][0]["probability"] < 0.1


def test_the_same_seed_gives_the_same_record():
    prompts = random_prompts(40, 14)  # more than are enumerated
    assert evaluate_candidates(prompts) == evaluate_candidates(prompts)
    other = evaluate_candidates(prompts, seed=1)
    assert other["intervals"] != evaluate_candidates(prompts)["intervals"]
    vote = [
        curve["curves"]["majority_vote"]["accuracy"]
        for curve in (other, evaluate_candidates(prompts))
    ]
    assert vote[0] != vote[1]
    assert vote[0][-1] == pytest.approx(vote[1][-1])


def test_questions_of_one_fact_are_drawn_together(tmp_path):
    """The header's task says which; without a header, prompts of the same text."""
    questions = [q for q in load_task("basics").questions("test") if q.kind == "capital"][:40]
    made = random_prompts(len(questions), 3)
    renamed = [
        type(p)(q.id, q.prompt, q.reference, p.candidates)
        for p, q in zip(made, questions, strict=True)
    ]
    path = tmp_path / "a.jsonl"
    append_candidates(path, renamed)
    alone = evaluate(path)
    assert alone["num_groups"] == len(questions)
    assert alone["candidates"] is None
    header = {"model": "m", "task": "basics", "split": "test"}
    write_header(path, header)
    record = evaluate(path)
    facts = {load_task("basics").group(q.id) for q in questions}
    assert record["num_groups"] == len(facts) < len(questions)
    assert record["candidates"] == header
    assert record["swift"] == alone["swift"]


def test_a_file_in_memory_and_on_disk(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, PROMPTS)
    record = evaluate(path)
    assert record["num_groups"] == 1  # one text
    assert record["swift"] == evaluate_candidates(PROMPTS)["swift"]


def test_empty():
    with pytest.raises(ValueError, match="no prompts to evaluate"):
        evaluate_candidates([])
