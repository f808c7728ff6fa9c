"""Collecting for a task of rows: from a file, with a grader of one's own, and what is left out."""

import json
import warnings

import pytest

from swift_bon.candidates.files import read_candidates, read_header
from swift_bon.candidates.groups import groups_of
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.collection.runs import collect
from swift_bon.tasks import Grade

SETTINGS = {"task": "own", "split": "test", "num_return_sequences": 2, "max_new_tokens": 4}
ROWS = [{"prompt": "Say a.", "reference": "a"}, {"prompt": "Say b.", "reference": "b"}]
UNGRADED = [{"prompt": "Say nothing.", "reference": ""}]


def has_length(question, text):
    return Grade(str(len(text)), len(text) % 2 == 0)


def starts(question, text):
    return text.startswith(question.reference)


@pytest.fixture
def data(tmp_path):
    def write(rows):
        path = tmp_path / "questions.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def test_from_a_file(model, tokenizer, tmp_path, data):
    path = tmp_path / "a.jsonl"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        prompts = collect(
            model, tokenizer, path, data=data(ROWS), grader=has_length, limit=1, **SETTINGS
        )
    (prompt,) = prompts
    assert (prompt.id, prompt.prompt, prompt.reference) == ("own/test/0", "Say a.", "a")
    for candidate in prompt.candidates:
        assert candidate.answer == str(len(candidate.text))
        assert candidate.correct == (len(candidate.text) % 2 == 0)
    header = read_header(path)
    assert (header["task"], header["split"]) == ("own", "test")
    assert header["grader"] == f"{__name__}:has_length"
    assert len(header["data"]) == 64 and not header.get("unparsable")
    everything = collect(model, tokenizer, path, data=data(ROWS), grader=has_length, **SETTINGS)
    assert everything[0] == prompt and len(everything) == 2


def test_what_is_left_out_is_said_and_kept_in_the_header(model, tokenizer, tmp_path, data):
    path = tmp_path / "a.jsonl"
    for _ in range(2):  # also when there is nothing left to sample
        with pytest.warns(UserWarning, match="1 questions are left out.*own/test/2: reference is"):
            prompts = collect(model, tokenizer, path, data=data(ROWS + UNGRADED), **SETTINGS)
    assert [prompt.id for prompt in prompts] == ["own/test/0", "own/test/1"]
    assert read_candidates(path) == prompts
    (left_out,) = read_header(path)["unparsable"]
    assert left_out["id"] == "own/test/2" and "reference is empty" in left_out["reason"]


def test_a_file_without_a_good_reference_writes_nothing(model, tokenizer, tmp_path, data):
    source = data(UNGRADED)
    with pytest.raises(ValueError, match="not one of the 1 references"):
        collect(model, tokenizer, tmp_path / "a.jsonl", data=source, **SETTINGS)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("rows", "grader", "fault"),
    [
        (ROWS[::-1], starts, "data was"),
        (ROWS, has_length, "grader was"),
        (ROWS, None, "grader was"),
    ],
    ids=["rows", "grader", "no-grader"],
)
def test_other_questions_or_graders_are_refused(
    model, tokenizer, tmp_path, data, rows, grader, fault
):
    path = tmp_path / "a.jsonl"
    collect(model, tokenizer, path, data=data(ROWS), grader=starts, **SETTINGS)
    with pytest.raises(ValueError, match=f"was made with other settings: {fault}"):
        collect(model, tokenizer, path, data=data(rows), grader=grader, **SETTINGS)


def test_a_file_of_before_there_were_graders_is_resumed(model, tokenizer, tmp_path):
    path = tmp_path / "a.jsonl"
    settings = {"num_return_sequences": 2, "max_new_tokens": 4, "limit": 1}
    first = collect(model, tokenizer, path, **settings)
    header = tmp_path / "a.header.json"
    kept = {k: v for k, v in json.loads(header.read_text()).items() if k not in ("data", "grader")}
    header.write_text(json.dumps(kept))
    assert collect(model, tokenizer, path, **settings) == first


def test_a_task_says_how_long_its_answers_are(model, tokenizer, tmp_path, data, monkeypatch):
    source = data([{"question": "What?", "answer": "#### 1"}])
    path = tmp_path / "a.jsonl"
    settings = {"task": "gsm8k", "data": source, "num_return_sequences": 1}
    from swift_bon.tasks import gsm8k

    monkeypatch.setitem(gsm8k.TASK.sampling, "max_new_tokens", 3)
    collect(model, tokenizer, path, **settings)
    assert read_header(path)["sampling"]["max_new_tokens"] == 3
    collect(model, tokenizer, tmp_path / "b.jsonl", max_new_tokens=2, **settings)
    assert read_header(tmp_path / "b.jsonl")["sampling"]["max_new_tokens"] == 2


@pytest.mark.parametrize("task", ["gsm8k", "own", "unknown"])
def test_prompts_of_the_same_text_are_a_group(task):
    candidates = [StoredCandidate("a", [1], True)]
    first, second, third = (
        PromptCandidates(name, text, "1", candidates)
        for name, text in (("x", "one"), ("y", "one"), ("z", "two"))
    )
    groups = groups_of([first, second, third], task)
    assert groups[0] == groups[1] != groups[2]
