"""The evaluation of a candidates file made by hand."""

import io
import json

import pytest
from rich.console import Console

from swift_bon.candidate_files import append_candidates
from swift_bon.candidates import PromptCandidates, StoredCandidate
from swift_bon.evaluation import evaluate, evaluate_candidates, print_evaluation


def prompt(name: str, rows: list[tuple[bool, float | None, float]]) -> PromptCandidates:
    """Rows: right or wrong, SWIFT's score, mean log-probability."""
    candidates = [
        StoredCandidate(
            "text",
            [1],
            correct,
            None,
            {"mean_logprob": logprob} | ({} if swift is None else {"swift": swift}),
        )
        for correct, swift, logprob in rows
    ]
    return PromptCandidates(name, "p", "r", candidates)


PROMPTS = [
    prompt("a", [(True, 2.0, -1.0), (False, 1.0, -0.5)]),  # swift right, log-probability wrong
    prompt("b", [(False, 0.0, -1.0), (True, 1.0, -0.5)]),  # both right
    prompt("c", [(False, 1.0, -1.0), (False, 0.0, -2.0)]),  # none can be right
    prompt("d", [(True, None, -1.0), (False, 0.0, -2.0), (False, -1.0, -3.0), (False, -1.0, -3.0)]),
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
    assert record["num_prompts"] == 4
    assert record["num_candidates"] == 10


def test_record_is_json_and_prints(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, PROMPTS)
    record = evaluate(path)
    assert record == evaluate_candidates(PROMPTS)
    assert json.loads(json.dumps(record)) == record
    out = io.StringIO()
    print_evaluation(record, Console(file=out, width=100))
    assert "SWIFT's pick" in out.getvalue()
    assert "swift / random: 1.60x" in out.getvalue()


def test_without_scores_of_a_head():
    plain = [prompt("a", [(True, None, -1.0), (False, None, -2.0)])]
    record = evaluate_candidates(plain)
    assert record["mean_logprob"] == 1.0
    assert "swift" not in record
    assert record["differences"] == {}


def test_empty():
    with pytest.raises(ValueError, match="no prompts to evaluate"):
        evaluate_candidates([])
