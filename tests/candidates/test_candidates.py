"""Candidates files: what is written is read back, and damage is named."""

import json
from dataclasses import replace

import pytest

from swift_bon.candidates.files import (
    append_candidates,
    header_path,
    iterate_candidates,
    read_candidates,
    read_header,
    replace_candidates,
    write_header,
)
from swift_bon.candidates.records import PromptCandidates, StoredCandidate, TokenScores
from swift_bon.storage import drop_torn_line, write_whole


def prompt(number: int) -> PromptCandidates:
    candidates = [
        StoredCandidate("Paris é\u2028\n", [1, 2], True, "Paris", {"swift": 0.5}),
        StoredCandidate("", [2], False, None),
    ]
    return PromptCandidates(f"capital/{number}", "What is …?", "Paris", candidates)


def test_round_trip(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, [prompt(1)])
    append_candidates(path, [prompt(2), prompt(3)])
    assert read_candidates(path) == [prompt(1), prompt(2), prompt(3)]
    first = json.loads(path.read_text().split("\n")[0])
    assert list(first) == ["id", "prompt", "reference", "candidates"]
    assert list(first["candidates"][0]) == ["text", "token_ids", "correct", "scores", "answer"]


def test_header_lies_beside(tmp_path):
    path = tmp_path / "runs" / "train.jsonl"
    settings = {"model": "m", "task": "t", "split": "s"}
    write_header(path, settings)
    assert header_path(path) == tmp_path / "runs" / "train.header.json"
    assert read_header(path) == settings
    assert header_path(tmp_path / "t0.5") != header_path(tmp_path / "t0.7")


def test_missing_or_broken_header(tmp_path):
    path = tmp_path / "a.jsonl"
    with pytest.raises(FileNotFoundError, match=r"a\.header\.json"):
        read_header(path)
    header_path(path).write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        read_header(path)


def test_torn_line_is_cut_off(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, [prompt(1), prompt(2)])
    whole = path.read_bytes()
    for cut in (1, 10, len(whole) // 3):
        path.write_bytes(whole + whole[:cut])
        drop_torn_line(path)
        assert path.read_bytes() == whole
    path.write_bytes(whole[:5])
    drop_torn_line(path)
    assert path.read_bytes() == b""


def test_a_line_without_an_end_is_explained(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, [prompt(1)])
    path.write_text(path.read_text() + path.read_text()[:40])
    with pytest.raises(ValueError, match="line 2 of .*has no end: .* killed; wait for it, or run"):
        read_candidates(path)


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '{"id": "a"}', '{"id":"a","prompt":"p","reference":"r","candidates":[{}]}'],
)
def test_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "a.jsonl"
    append_candidates(path, [prompt(1)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match="line 2 of .*a.jsonl is not a prompt with candidates"):
        read_candidates(path)


GOOD = {"text": "", "token_ids": [1], "correct": True, "answer": None, "scores": {}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correct": "no"}, "correct is not true or false"),
        ({"token_ids": ["a"]}, "token_ids not integers"),
        ({"token_ids": [True]}, "token_ids not integers"),
        ({"token_ids": 3}, "token_ids not integers"),
        ({"scores": 3}, "scores are not all numbers"),
        ({"scores": {"swift": "high"}}, "scores are not all numbers"),
        ({"scores": {"swift": True}}, "scores are not all numbers"),
        ({"scores": {"swift": 10**400}}, "scores are not all numbers"),
    ],
)
def test_fields_of_another_type(tmp_path, change, message):
    record = {"id": "a", "prompt": "p", "reference": "r", "candidates": [{**GOOD, **change}]}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(ValueError, match=f"line 1 of .*{message}"):
        read_candidates(path)
    path.write_text(json.dumps({**record, "id": [1], "candidates": [GOOD]}) + "\n")
    with pytest.raises(ValueError, match="are not all strings"):
        read_candidates(path)


def test_fields_that_may_be_left_out(tmp_path):
    path = tmp_path / "a.jsonl"
    candidate = {"text": "Paris", "token_ids": [1], "correct": True}
    path.write_text(json.dumps({"id": "a", "prompt": "p", "candidates": [candidate]}) + "\n")
    (read,) = read_candidates(path)
    assert read == PromptCandidates("a", "p", "", [StoredCandidate("Paris", [1], True, None)])


@pytest.mark.parametrize(
    ("prompt_change", "change", "message"),
    [
        ({"source": 1}, {}, "the prompt has an unknown 'source'; expected id, prompt, ref"),
        ({}, {"right": 1}, "candidate 1 has an unknown 'right'; expected text, token_ids, c"),
        ({}, {"token_ids": None}, "candidate 1 has no 'token_ids'; expected"),
        ({"prompt": None, "text": "p"}, {}, "the prompt has no 'prompt' and has an unknown 'text'"),
    ],
)
def test_fields_that_lack_or_are_unknown(tmp_path, prompt_change, change, message):
    """None in a change leaves the field out."""
    candidates = [GOOD, changed(GOOD, change)]
    record = {"id": "a", "prompt": "p", "reference": "r", "candidates": candidates}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(changed(record, prompt_change)) + "\n")
    with pytest.raises(ValueError, match=f"line 1 of .* with candidates: {message}") as error:
        read_candidates(path)
    assert "__init__" not in str(error.value)


def changed(record: dict, change: dict) -> dict:
    return {name: value for name, value in (record | change).items() if change.get(name, 1)}


@pytest.mark.parametrize("candidates", ["{}", "3", '["a"]', "null"])
def test_candidates_of_another_form(tmp_path, candidates):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"id":"a","prompt":"p","candidates":{candidates}}}\n')
    with pytest.raises(ValueError, match="line 1 of .* is not a prompt with candidates: .* not a"):
        read_candidates(path)


def test_prompt_without_candidates(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id":"a","prompt":"p","reference":"r","candidates":[]}\n')
    with pytest.raises(ValueError, match="line 1 of .* has no candidates"):
        read_candidates(path)


def test_id_twice(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, [prompt(1), prompt(1)])
    with pytest.raises(ValueError, match="line 2 .*'capital/1' comes twice"):
        read_candidates(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="swift-bon collect"):
        read_candidates(tmp_path / "none.jsonl")


def test_write_whole_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert path.read_text() == "old"


# Token scores.

IN_TOKENS = TokenScores([1, 2, 0], [0.5, -1.0, None], [1, 0.2, None])
SCORED = StoredCandidate("ab\U0001f600", [7, 8, 2], True, None, {}, IN_TOKENS)


def test_token_scores_round_trip(tmp_path):
    path = tmp_path / "a.jsonl"
    prompts = [PromptCandidates("a", "p", "", [SCORED, StoredCandidate("", [], False)])]
    append_candidates(path, prompts)
    assert read_candidates(path) == prompts
    assert "token_scores" not in json.loads(path.read_text())["candidates"][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": [1, 2]}, "token_scores of candidate 0 are not 3 a list"),
        ({"gates": 1}, "token_scores of candidate 0 are not 3 a list"),
        ({"lengths": [1, 2, 1]}, "do not add up to the text's"),
        ({"lengths": [1, 3, -1]}, "do not add up to the text's"),
        ({"lengths": [1, 2.0, 0]}, "do not add up to the text's"),
        ({"rewards": [1, "2", 3]}, "are not numbers or null"),
        ({"gates": [1, True, 3]}, "are not numbers or null"),
        ({"gates": None}, "has no 'gates'"),
        ({"colour": 1}, "has an unknown 'colour'"),
    ],
)
def test_token_scores_that_do_not_fit(tmp_path, change, message):
    path = tmp_path / "a.jsonl"
    append_candidates(path, [PromptCandidates("a", "p", "", [SCORED])])
    record = json.loads(path.read_text())
    candidate = record["candidates"][0]
    candidate["token_scores"] = changed(candidate["token_scores"], change)
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(ValueError, match=f"line 1 of .*{message}"):
        read_candidates(path)


def test_replacing_reads_the_old_file_meanwhile(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, [prompt(1), prompt(2)])
    replace_candidates(path, (replace(p, prompt="new") for p in iterate_candidates(path)))
    assert read_candidates(path) == [replace(p, prompt="new") for p in (prompt(1), prompt(2))]


def test_replacing_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.jsonl"
    append_candidates(path, [prompt(1)])

    def fail():
        yield prompt(2)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        replace_candidates(path, fail())
    assert read_candidates(path) == [prompt(1)]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("change", [{"text": 3}, {"answer": ["a"]}])
def test_text_and_answer_are_strings(tmp_path, change):
    record = {"id": "a", "prompt": "p", "candidates": [{**GOOD, **change}]}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(ValueError, match="line 1 of .*text or answer of candidate 0 is not a str"):
        read_candidates(path)
