"""Collecting: graded candidates on disk, resumed after a kill with nothing lost or doubled."""

import json

import pytest
import torch

from swift_bon.candidates.files import read_candidates, read_header
from swift_bon.candidates.score_names import FREE_SCORES
from swift_bon.collection import runs as collection
from swift_bon.collection.runs import collect, grade_candidates, kept_scores
from swift_bon.generation.best_of import Candidate
from swift_bon.tasks.registry import load_task
from swift_kernels import RewardHead

SETTINGS = {"limit": 5, "num_return_sequences": 3, "batch_size": 6, "max_new_tokens": 4}


def test_what_is_stored(model, tokenizer, tmp_path):
    head = RewardHead(4, 32)
    path = tmp_path / "runs" / "a.jsonl"
    prompts = collect(model, tokenizer, path, head=head, **SETTINGS)
    questions = load_task("basics").questions("train")[:5]
    assert [prompt.id for prompt in prompts] == [question.id for question in questions]
    assert prompts == read_candidates(path)
    for prompt, question in zip(prompts, questions, strict=True):
        assert (prompt.prompt, prompt.reference) == (question.prompt, question.reference)
        assert len(prompt.candidates) == 3
        for candidate in prompt.candidates:
            grade = load_task("basics").grade(question, candidate.text)
            assert (candidate.answer, candidate.correct) == grade
            assert 1 <= len(candidate.token_ids) <= 4
            has_state = len(candidate.token_ids) > 1  # one token: nothing was fed, no score
            names = {*FREE_SCORES, "swift"} if has_state else {*FREE_SCORES}
            assert candidate.scores.keys() == names
            assert candidate.scores["length"] == len(candidate.token_ids)
            check_token_scores(candidate)
    header = read_header(path)
    assert header["model"] == "tiny/llama"
    assert header["sampling"]["max_new_tokens"] == 4
    assert header["scores"] == [*FREE_SCORES, "swift"]
    assert header["confidence_window"] == 8
    assert header["token_scores"] is True


def check_token_scores(candidate) -> None:
    """Its rewards and gates give its score, to the digits that are kept."""
    kept = candidate.token_scores
    assert sum(kept.lengths) == len(candidate.text)
    assert kept.rewards[-1] is kept.gates[-1] is None  # never fed
    rewards, gates = torch.tensor(kept.rewards[:-1]), torch.tensor(kept.gates[:-1])
    if "swift" in candidate.scores:
        score = (rewards * gates).sum() / gates.sum()
        assert score.item() == pytest.approx(candidate.scores["swift"], rel=0.01, abs=0.01)


def test_scores_that_are_not_finite_are_not_stored():
    free = {"mean_logprob": float("nan"), "entropy": 1.0, "self_certainty": float("inf")}
    candidate = Candidate("a", float("-inf"), [1], float("nan"), free)
    assert kept_scores(candidate) == {"entropy": 1.0}
    question = load_task("basics").questions("train")[0]
    (stored,) = grade_candidates(load_task("basics"), question, [candidate]).candidates
    assert stored.scores == {"entropy": 1.0}


@pytest.mark.parametrize("settings", [{"token_scores": False}, {"head": None}])
def test_without_token_scores(model, tokenizer, tmp_path, settings):
    path = tmp_path / "a.jsonl"
    prompts = collect(model, tokenizer, path, **{"head": RewardHead(4, 32), **SETTINGS, **settings})
    assert all(c.token_scores is None for prompt in prompts for c in prompt.candidates)
    assert "token_scores" not in path.read_text()
    assert read_header(path)["token_scores"] is False


@pytest.mark.parametrize("after", [1, 2], ids=["after-one-batch", "after-two"])
@pytest.mark.parametrize("torn", [b"", b'{"id": "ca'], ids=["whole", "torn-line"])
def test_killed_run_resumes_to_the_same_file(model, tokenizer, tmp_path, monkeypatch, after, torn):
    whole = tmp_path / "whole.jsonl"
    collect(model, tokenizer, whole, **SETTINGS)
    path = tmp_path / "killed.jsonl"
    batches = 0
    append = collection.append_candidates

    def append_then_die(path, prompts):
        nonlocal batches
        append(path, prompts)
        batches += 1
        if batches == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(collection, "append_candidates", append_then_die)
        with pytest.raises(KeyboardInterrupt):
            collect(model, tokenizer, path, **SETTINGS)
    with path.open("ab") as file:
        file.write(torn)
    assert len(path.read_bytes()) < len(whole.read_bytes())
    collect(model, tokenizer, path, **SETTINGS)
    assert path.read_bytes() == whole.read_bytes()


def test_finished_run_samples_nothing_again(model, tokenizer, tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    first = collect(model, tokenizer, path, **SETTINGS)
    monkeypatch.setattr(collection, "sample_candidates", None)  # any call would fail
    assert collect(model, tokenizer, path, **SETTINGS) == first
    assert collect(model, tokenizer, path, **{**SETTINGS, "limit": 2}) == first[:2]


def test_batch_size_changes_nothing(model, tokenizer, tmp_path):
    paths = [tmp_path / f"{size}.jsonl" for size in (1, 4, 64)]
    for path, size in zip(paths, (1, 4, 64), strict=True):
        collect(model, tokenizer, path, **{**SETTINGS, "batch_size": size})
    token_ids = [
        [c.token_ids for prompt in read_candidates(path) for c in prompt.candidates]
        for path in paths
    ]
    assert token_ids[0] == token_ids[1] == token_ids[2]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"num_return_sequences": 2},
        {"split": "test"},
        {"temperature": 0.5},
        {"head": RewardHead(4, 32)},
    ],
    ids=["seed", "samples", "split", "temperature", "head"],
)
def test_other_settings_are_refused(model, tokenizer, tmp_path, change):
    path = tmp_path / "a.jsonl"
    collect(model, tokenizer, path, **SETTINGS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="was made with other settings"):
        collect(model, tokenizer, path, **{**SETTINGS, **change})
    assert path.read_bytes() == before


def test_scores_of_two_heads_are_never_mixed(model, tokenizer, tmp_path):
    first, second = RewardHead(4, 32), RewardHead(4, 32)
    path = tmp_path / "a.jsonl"
    collect(model, tokenizer, path, head=first, **{**SETTINGS, "limit": 2})
    with pytest.raises(ValueError, match="head was"):
        collect(model, tokenizer, path, head=second, **SETTINGS)
    assert len(collect(model, tokenizer, path, head=first, **SETTINGS)) == 5


@pytest.mark.parametrize("content", ["[]", "null", '{"model": 5}', '{"model": "tiny/llama"}'])
def test_header_of_another_kind_is_refused(model, tokenizer, tmp_path, content):
    path = tmp_path / "a.jsonl"
    collect(model, tokenizer, path, **SETTINGS)
    (tmp_path / "a.header.json").write_text(content)
    with pytest.raises(ValueError, match="is not a header"):
        collect(model, tokenizer, path, **SETTINGS)


def test_file_without_header_is_refused(model, tokenizer, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": "a"}) + "\n")
    with pytest.raises(FileNotFoundError, match="no header"):
        collect(model, tokenizer, path, **SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limit": 0}, "limit is 0"),
        ({"num_return_sequences": 0}, "num_return_sequences is 0"),
        ({"task": "sums"}, "task is 'sums'"),
        ({"split": "dev"}, "split is 'dev'"),
        ({"head": RewardHead(9, 32)}, "head expects 9 hidden states"),
    ],
)
def test_bad_input_writes_nothing(model, tokenizer, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        collect(model, tokenizer, tmp_path / "a.jsonl", **{**SETTINGS, **change})
    assert list(tmp_path.iterdir()) == []


def test_seeds_differ(model, tokenizer, tmp_path):
    torch.manual_seed(0)
    runs = [
        collect(model, tokenizer, tmp_path / f"{seed}.jsonl", seed=seed, **SETTINGS)
        for seed in (0, 1)
    ]
    assert runs[0] != runs[1]
