"""Adding scores: killed at any step, the same command ends in the same files."""

import dataclasses
import itertools
import multiprocessing
import os
import pathlib
import signal

import pytest

from added_cases import ORIGIN, PROMPTS, TextScorer, contents, expected, write
from swift_bon.candidates.files import read_candidates, replace_candidates
from swift_bon.collection import added_scores
from swift_bon.collection.added_scores import add_scores
from swift_bon.collection.score_journal import ScoreJournal, journal_path

STEPS = {
    "append": (ScoreJournal, "append"),
    "header": (added_scores, "write_header"),
    "merge": (added_scores, "replace_candidates"),
    "remove": (ScoreJournal, "remove"),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_around_each_step(tmp_path, path, step, when):
    (tmp_path / "whole").mkdir()
    whole = write(tmp_path / "whole")
    added = add_scores(whole, "rm", TextScorer())
    owner, name = STEPS[step]
    run = getattr(owner, name)

    def die(*args):
        if when == "after":
            run(*args)
        raise KeyboardInterrupt

    scorer = TextScorer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(KeyboardInterrupt):
            add_scores(path, "rm", scorer)
    again = TextScorer()
    resumed = add_scores(path, "rm", again)
    if step != "remove" or when == "before":  # afterwards it is as after a whole run
        assert resumed == added
        kept = scorer.scored if (step, when) != ("append", "before") else []
        assert [*kept, *again.scored] == [prompt.id for prompt in PROMPTS]
    (tmp_path / "whole" / ".a.jsonl.lock").unlink()
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / file.name).read_bytes()
    assert contents(tmp_path / "whole").keys() | {"whole"} == {
        f.name for f in tmp_path.iterdir() if f.name != ".a.jsonl.lock"
    }


def _add_then_die(path, die_at) -> None:
    steps = itertools.count()

    def faulty(run):
        def step(*args, **kwargs):
            if next(steps) == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return run(*args, **kwargs)

        return step

    os.fsync, os.replace = faulty(os.fsync), faulty(os.replace)
    pathlib.Path.unlink = faulty(pathlib.Path.unlink)
    add_scores(path, "rm", TextScorer())


def test_killed_for_real_at_each_write(tmp_path):
    """By a signal that nothing can catch; what it leaves beside the file goes too."""
    prompts = [p for p in PROMPTS if p.candidates[0].text != " ab "]
    (tmp_path / "whole").mkdir()
    add_scores(write(tmp_path / "whole", prompts), "rm", TextScorer())
    whole = contents(tmp_path / "whole")
    for die_at in itertools.count():
        folder = tmp_path / str(die_at)
        folder.mkdir()
        path = write(folder, prompts)
        process = multiprocessing.get_context("fork").Process(
            target=_add_then_die, args=(path, die_at)
        )
        process.start()
        process.join()
        assert {p.id: len(p.candidates) for p in read_candidates(path)} == {
            p.id: len(p.candidates) for p in prompts
        }
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        add_scores(path, "rm", TextScorer())
        left = {name for name in contents(folder) if not name.startswith(".a.header.json.")}
        assert {name: contents(folder)[name] for name in left} == whole
    assert die_at > 10


def test_a_torn_line_does_not_count(tmp_path, path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(added_scores, "write_header", None)
        with pytest.raises(TypeError):
            add_scores(path, "rm", TextScorer())
    journal = journal_path(path, "rm")
    assert journal.name == "a.rm.scores.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 13
    journal.write_bytes(b"".join(lines[:5]) + lines[5][:-9])
    scorer = TextScorer()
    added = add_scores(path, "rm", scorer)
    assert scorer.scored == [prompt.id for prompt in PROMPTS[4:]]
    assert added.num_prompts == 12
    assert read_candidates(path) == expected()


@pytest.mark.parametrize("left", [b"", b'{"name": "rm", "ori'], ids=["empty", "torn"])
def test_a_journal_without_its_first_line_begins_anew(path, left):
    journal_path(path, "rm").write_bytes(left)
    unfinished(path)
    add_scores(path, "rm", TextScorer())
    assert read_candidates(path) == expected()


def unfinished(path) -> None:
    """A run that was killed with a journal of all prompts but the last ones."""
    append = ScoreJournal.append

    def append_then_die(self, prompts, rows):
        append(self, prompts, rows)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScoreJournal, "append", append_then_die)
        with pytest.raises(KeyboardInterrupt):
            add_scores(path, "rm", TextScorer())


def change_text(prompt):
    first, *rest = prompt.candidates
    return dataclasses.replace(
        prompt, candidates=[dataclasses.replace(first, text=first.text + "x"), *rest]
    )


def change_tokens(prompt):
    first, *rest = prompt.candidates
    return dataclasses.replace(
        prompt, candidates=[dataclasses.replace(first, token_ids=[7]), *rest]
    )


@pytest.mark.parametrize("change", [change_text, change_tokens])
def test_candidates_that_changed_since_are_noticed(tmp_path, path, change):
    unfinished(path)
    replace_candidates(path, [change(PROMPTS[0]), *PROMPTS[1:]])
    before = contents(tmp_path)
    message = "has scores of other candidates of the prompt .* delete a.rm.scores.jsonl"
    with pytest.raises(ValueError, match=message):
        add_scores(path, "rm", TextScorer())
    assert contents(tmp_path) == before
    journal_path(path, "rm").unlink()
    assert add_scores(path, "rm", TextScorer()).num_prompts == 12


def test_candidates_that_change_during_a_run_are_noticed(path):
    class Slow(TextScorer):
        def score(self, prompts):
            replace_candidates(path, [change_text(PROMPTS[0]), *PROMPTS[1:]])
            return super().score(prompts)

    with pytest.raises(ValueError, match="has scores of other candidates of the prompt"):
        add_scores(path, "rm", Slow())
    assert read_candidates(path) == [change_text(PROMPTS[0]), *PROMPTS[1:]]


def test_labels_may_change_meanwhile(path):
    unfinished(path)
    first, *rest = PROMPTS[0].candidates
    flipped = [dataclasses.replace(first, correct=not first.correct, answer="5"), *rest]
    replace_candidates(path, [dataclasses.replace(PROMPTS[0], candidates=flipped), *PROMPTS[1:]])
    add_scores(path, "rm", TextScorer())
    assert read_candidates(path)[0].candidates[0].answer == "5"


def test_a_prompt_that_vanished_is_noticed(path):
    unfinished(path)
    replace_candidates(path, PROMPTS[1:])
    with pytest.raises(ValueError, match="which .*a.jsonl has not: the candidates were changed"):
        add_scores(path, "rm", TextScorer())


@pytest.mark.parametrize("line", ["[]", '{"id": 5', "null", '{"id": "a"}'])
@pytest.mark.parametrize("number", [1, 2])
def test_a_damaged_journal(path, line, number):
    unfinished(path)
    journal = journal_path(path, "rm")
    lines = journal.read_text().splitlines()
    lines[number - 1] = line
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=f"line {number} of .* delete that file to score anew"):
        add_scores(path, "rm", TextScorer())


def test_a_run_of_another_model_does_not_go_on(tmp_path, path):
    unfinished(path)
    before = contents(tmp_path)
    other = TextScorer({**ORIGIN, "digest": "1"})
    with pytest.raises(ValueError, match=r"rm.scores.jsonl holds scores of .*'digest': '0'"):
        add_scores(path, "rm", other)
    assert contents(tmp_path) == before and not other.scored
