"""The evaluation of candidates made by hand: what the record says."""

import json
import math

import pytest
import torch

from evaluation_cases import PROMPTS, prompt, random_prompts
from swift_bon.candidates.files import append_candidates
from swift_bon.evaluation.candidate_table import tabulate
from swift_bon.evaluation.comparison import default_pairs, evaluate, evaluate_candidates
from swift_bon.statistics import (
    calibration,
)

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
    assert record["no_pick"].keys() == set(ALL_METHODS) - {"random", "oracle"}
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
    assert families["swift+Judge-7B blended"] == "combination"
    assert families["Judge-7B_vote"] == "vote"
    assert default_pairs(["Judge-7B", "mean_logprob"]) == [("mean_logprob", "Judge-7B")]
    assert default_pairs(["Judge-7B"]) == default_pairs(["mean_logprob", "entropy"]) == []


def test_prompts_without_a_score_are_counted():
    record = evaluate_candidates(
        [*PROMPTS, prompt("e", [(True, None, -1.0), (False, None, -2.0)], "ab")]
    )
    assert record["no_pick"]["swift"] == 1
    assert record["no_pick"]["swift+mean_logprob by rank"] == 1
    assert record["no_pick"]["mean_logprob"] == 0
    assert record["no_pick"]["majority_vote"] == 4
    assert record["num_fewer"] == 4


def test_within_a_prompt_missing_scores_are_left_out():
    rows = [(True, 1.0, -1.0), (False, 0.0, -1.0), (False, None, -1.0)]
    record = evaluate_candidates([prompt("a", rows)])
    assert record["auroc_within"]["swift"][0] == 1.0
    zeros = [(True, -1.0, -1.0), (False, -2.0, -1.0), (False, None, -1.0)]
    assert evaluate_candidates([prompt("a", zeros)])["auroc_within"]["swift"][0] == 1.0


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


def test_calibration_is_of_the_sigmoid_and_of_the_mean_probability():
    prompts = random_prompts(50, 4)
    actual = evaluate_candidates(prompts)["calibration"]
    table = tabulate(prompts)
    correct = table.correct.flatten()
    for name, transform in (("swift", torch.sigmoid), ("mean_logprob", torch.exp)):
        probabilities = transform(table.scores[name].flatten()).clamp(0, 1)
        expected = calibration(probabilities, correct)
        assert actual[name]["ece"] == expected.ece
        assert actual[name]["brier"] == expected.brier
        assert [row["count"] for row in actual[name]["bins"]] == [20] * 10
    unscored = evaluate_candidates([prompt("a", [(True, None, math.nan), (False, None, 0.0)])])
    assert unscored["calibration"].keys() == {"mean_logprob"}
    nothing = evaluate_candidates([prompt("a", [(True, None, math.nan), (False, None, math.nan)])])
    assert nothing["calibration"] == {}


def test_a_file_in_memory_and_on_disk(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, PROMPTS)
    record = evaluate(path)
    assert record["num_groups"] == 1  # one text
    assert record["swift"] == evaluate_candidates(PROMPTS)["swift"]


def test_empty():
    with pytest.raises(ValueError, match="no prompts to evaluate"):
        evaluate_candidates([])
