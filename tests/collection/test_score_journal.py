"""A journal of scores that was damaged: refused by its name, before anything is written."""

import json
import os

import pytest

from added_cases import ORIGIN, PROMPTS
from swift_bon.collection.score_journal import PromptScores, ScoreJournal


@pytest.fixture
def journal_file(tmp_path):
    path = tmp_path / "a.rm.scores.jsonl"
    rows = [PromptScores([0.5] * len(p.candidates), [None] * len(p.candidates)) for p in PROMPTS]
    ScoreJournal(path, "rm", ORIGIN).append(PROMPTS, rows)
    return path


def change_line(path, number: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[number] = line
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("line", ["[" * 9_000, "7", '{"id": ["x"]}', '{"id": "\\ud83d"}', "\0"])
def test_a_line_that_is_no_record(journal_file, line, number):
    change_line(journal_file, number, line)
    with pytest.raises(ValueError, match=f"line {number + 1} of .*a.rm.scores.jsonl is not of a"):
        ScoreJournal(journal_file, "rm", ORIGIN)


CHANGES = {
    "none": lambda record: record.pop("scores"),
    "number": lambda record: record.update(scores=3),
    "texts": lambda record: record.update(scores=["0.5"] * len(record["scores"])),
    "flags": lambda record: record.update(scores=[True] * len(record["scores"])),
    "fewer": lambda record: record["scores"].pop(),
    "more": lambda record: record["token_scores"].append(None),
    "token_scores": lambda record: record["token_scores"].__setitem__(0, {"lengths": [1]}),
    "token_lists": lambda record: record["token_scores"].__setitem__(
        0, {"lengths": 1, "rewards": [1], "gates": [1]}
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_record_of_another_form(journal_file, case):
    record = json.loads(journal_file.read_text().splitlines()[2])
    CHANGES[case](record)
    change_line(journal_file, 2, json.dumps(record))
    journal = ScoreJournal(journal_file, "rm", ORIGIN)
    assert journal.read(PROMPTS[0]).scores == [0.5] * len(PROMPTS[0].candidates)
    with pytest.raises(ValueError, match="a.rm.scores.jsonl has no scores of the candidates of"):
        journal.read(PROMPTS[1])


def test_a_journal_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # nobody writes: who opens it waits for ever
    with pytest.raises(ValueError, match="pipe is not a file"):
        ScoreJournal(tmp_path / "pipe", "rm", ORIGIN)
