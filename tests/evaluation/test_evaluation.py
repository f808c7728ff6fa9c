"""The evaluation of candidates made by hand: what the record says."""

import json
import math

import pytest
import torch

from evaluation_cases import PROMPTS, prompt, random_prompts
from swift_bon.candidates.files import append_candidates, write_header
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.candidates.score_names import RECORD_FIELDS
from swift_bon.evaluation import record as evaluation_record
from swift_bon.evaluation.candidate_table import tabulate
from swift_bon.evaluation.comparison import default_pairs, evaluate, evaluate_candidates
from swift_bon.statistics import (
    Bootstrap,
    auroc,
    best_of_k_accuracy,
    calibration,
    cross_validated_blend,
    permutation_p_value,
)
from swift_bon.tasks.registry import load_task

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


def test_prompts_without_a_score_are_counted():
    record = evaluate_candidates(
        [*PROMPTS, prompt("e", [(True, None, -1.0), (False, None, -2.0)], "ab")]
    )
    assert record["no_pick"]["swift"] == 1
    assert record["no_pick"]["swift+mean_logprob by rank"] == 1
    assert record["no_pick"]["mean_logprob"] == 0
    assert record["no_pick"]["majority_vote"] == 4
    assert record["num_fewer"] == 4


def test_pairs_with_a_plus_in_a_name_and_named_twice():
    rows = [StoredCandidate("a", [1], n > 1, None, {"a+b": n, "c": -n, "a": 1.0}) for n in range(3)]
    prompts = [PromptCandidates(f"{n}", "p", "", rows) for n in range(3)]
    record = evaluate_candidates(prompts, combine=["a+b+c", "c+a+b", ("c", "a+b"), "a+c"])
    names = [m["name"] for m in record["methods"] if m["family"] == "combination"]
    assert names[::3] == ["a+b+c by rank", "a+c by rank"]
    assert len(names) == 6


def test_within_a_prompt_missing_scores_are_left_out():
    rows = [(True, 1.0, -1.0), (False, 0.0, -1.0), (False, None, -1.0)]
    record = evaluate_candidates([prompt("a", rows)])
    assert record["auroc_within"]["swift"][0] == 1.0
    zeros = [(True, -1.0, -1.0), (False, -2.0, -1.0), (False, None, -1.0)]
    assert evaluate_candidates([prompt("a", zeros)])["auroc_within"]["swift"][0] == 1.0


def test_many_prompts_are_taken_in_parts(monkeypatch):
    prompts = random_prompts(30, 4)
    whole = evaluate_candidates(prompts)
    monkeypatch.setattr(evaluation_record, "CHUNK_ELEMENTS", 1)
    parts = evaluate_candidates(prompts)
    for name, curve in whole["curves"].items():
        for part, values in curve.items():
            assert parts["curves"][name][part] == pytest.approx(values)


def test_the_seed_is_that_of_the_permutations_too():
    prompts = random_prompts(60, 3)
    first, second = (evaluate_candidates(prompts, seed=seed) for seed in (0, 1))
    assert first["p_values"] != second["p_values"]


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
    found = evaluate_candidates(prompts)["calibration"]
    table = tabulate(prompts)
    correct = table.correct.flatten()
    for name, transform in (("swift", torch.sigmoid), ("mean_logprob", torch.exp)):
        probabilities = transform(table.scores[name].flatten()).clamp(0, 1)
        expected = calibration(probabilities, correct)
        assert found[name]["ece"] == expected.ece
        assert found[name]["brier"] == expected.brier
        assert [row["count"] for row in found[name]["bins"]] == [20] * 10
    unscored = evaluate_candidates([prompt("a", [(True, None, math.nan), (False, None, 0.0)])])
    assert unscored["calibration"].keys() == {"mean_logprob"}
    nothing = evaluate_candidates([prompt("a", [(True, None, math.nan), (False, None, math.nan)])])
    assert nothing["calibration"] == {}


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
    groups = [load_task("basics").group(q.id) for q in questions]
    assert record["num_groups"] == len(set(groups)) < len(questions)
    assert record["candidates"] == header
    assert record["swift"] == alone["swift"]
    check_groups_are_kept(record, renamed, groups)


def check_groups_are_kept(record, prompts, groups) -> None:
    """Intervals, p-values and the blend's folds are those of whole groups."""
    table = tabulate(prompts)
    first_seen = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    numbers = torch.tensor([first_seen[group] for group in groups])
    swift = best_of_k_accuracy(table.scores["swift"], table.correct)[:, -1]
    random = table.correct.double().mean(dim=1)
    bootstrap = Bootstrap(len(prompts), numbers)
    assert record["intervals"]["swift"] == pytest.approx(bootstrap.interval(swift)[1:])
    alone = Bootstrap(len(prompts)).interval(swift)[1:]
    assert record["intervals"]["swift"] != pytest.approx(alone)
    gain = record["differences"]["swift - random"]
    assert gain == pytest.approx(bootstrap.interval(swift - random))
    p_value = record["p_values"]["swift - random"]
    assert p_value == permutation_p_value(swift - random, numbers)
    assert p_value != permutation_p_value(swift - random)
    features = torch.stack([table.scores["swift"], table.scores["mean_logprob"]], dim=-1)
    blended = cross_validated_blend(features, table.correct, groups)
    name = "swift+mean_logprob blended"
    assert record["auroc"][name] == auroc(blended.flatten(), table.correct.flatten())
    apart = cross_validated_blend(features, table.correct, [p.id for p in prompts])
    assert record["auroc"][name] != auroc(apart.flatten(), table.correct.flatten())


def test_a_file_in_memory_and_on_disk(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, PROMPTS)
    record = evaluate(path)
    assert record["num_groups"] == 1  # one text
    assert record["swift"] == evaluate_candidates(PROMPTS)["swift"]


def test_empty():
    with pytest.raises(ValueError, match="no prompts to evaluate"):
        evaluate_candidates([])
