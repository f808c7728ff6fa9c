"""Adding scores to a file: what is stored, what is skipped, what is refused."""

import dataclasses
import json

import pytest

from added_cases import ORIGIN, PROMPTS, TextScorer, contents, expected, write
from scoring_cases import shared_reward_model
from swift_bon.candidates.files import append_candidates, read_candidates, read_header
from swift_bon.collection.added_scores import AddedScores, add_scores, only_run
from swift_bon.collection.reward_models import RewardModelScorer, score_with_reward_model
from swift_bon.storage import check_same_settings
from tiny_models import tiny_tokenizer

MOST = 2 * 2  # candidates scored between two writes


def test_what_is_stored(tmp_path, path):
    header = read_header(path)
    added = add_scores(path, "rm", TextScorer())
    assert read_candidates(path) == expected()
    assert read_header(path) == {**header, "added_scores": {"rm": ORIGIN}}
    assert contents(tmp_path).keys() == {"a.jsonl", "a.header.json"}
    candidates = [c for prompt in PROMPTS for c in prompt.candidates]
    num_bad = sum(c.text == " ab " for c in candidates)
    assert added == AddedScores("rm", 12, len(candidates), num_bad, 0, False)
    assert num_bad > 2


def test_windows_hold_some_batches(path):
    scorer = TextScorer()
    add_scores(path, "rm", scorer)
    assert scorer.scored == [prompt.id for prompt in PROMPTS]
    assert sum(scorer.windows) == sum(len(prompt.candidates) for prompt in PROMPTS)
    assert all(MOST <= count < MOST + 5 for count in scorer.windows[:-1])
    assert len(scorer.windows) > 1


def test_only_what_is_missing_is_scored(path):
    finite = [p for p in PROMPTS if all(c.text != " ab " for c in p.candidates)]
    add_scores(path, "rm", TextScorer())
    append_candidates(path, [dataclasses.replace(PROMPTS[0], id="new")])
    scorer = TextScorer()
    added = add_scores(path, "rm", scorer)
    assert set(scorer.scored) == {"new", *(p.id for p in PROMPTS)} - {p.id for p in finite}
    assert (added.num_skipped, added.num_prompts) == (len(finite), 13 - len(finite))
    assert read_candidates(path)[:12] == expected()
    assert "rm" in read_candidates(path)[12].candidates[0].scores


def test_a_whole_file_is_not_written_again(tmp_path):
    path = write(tmp_path, [p for p in PROMPTS if p.candidates[0].text != " ab "])
    add_scores(path, "rm", TextScorer())
    before, inode = contents(tmp_path), path.stat().st_ino
    scorer = TextScorer()
    added = add_scores(path, "rm", scorer)
    assert added == AddedScores("rm", 0, 0, 0, 6, False)
    assert not scorer.scored
    assert contents(tmp_path) == before and path.stat().st_ino == inode


def test_a_prompt_with_some_scores_keeps_them(tmp_path):
    scores = [{"rm": 50.0, "mean_logprob": -1.0}, {"mean_logprob": -2.0}, {"rm": 60.0}]
    candidates = [
        dataclasses.replace(c, scores=s)
        for c, s in zip(PROMPTS[3].candidates, scores, strict=False)
    ]
    prompt = dataclasses.replace(PROMPTS[3], candidates=candidates)
    path = write(tmp_path, [prompt], added_scores={"rm": ORIGIN})
    assert candidates[0].text == " ab "  # which is given no finite score now
    assert add_scores(path, "rm", TextScorer()).num_not_finite == 0
    candidates = read_candidates(path)[0].candidates
    assert (candidates[0].scores, candidates[2].scores) == (scores[0], scores[2])
    assert candidates[1].scores == {**scores[1], "rm": len(candidates[1].text) + 1 + 1 / 3}


def test_two_models_side_by_side(path):
    add_scores(path, "rm", TextScorer())
    other = {**ORIGIN, "reward_model": "b/rm"}
    add_scores(path, "rm-2", TextScorer(other))
    assert read_candidates(path) == expected(expected(), "rm-2")
    assert read_header(path)["added_scores"] == {"rm": ORIGIN, "rm-2": other}


def test_scores_of_two_models_are_never_mixed(tmp_path, path):
    other = TextScorer({**ORIGIN, "digest": "1"})
    add_scores(path, "rm", TextScorer())
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"a.jsonl has scores named 'rm' of .*choose another name"):
        add_scores(path, "rm", other)
    assert contents(tmp_path) == before and not other.scored


def test_scores_from_nowhere_are_not_continued(tmp_path):
    path = write(tmp_path, [*PROMPTS[:3], *expected()[3:4]])
    with pytest.raises(ValueError, match="named 'rm'.* a.header.json does not say what gave them"):
        add_scores(path, "rm", TextScorer())
    add_scores(path, "other", TextScorer())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("swift", "name is 'swift', which is SWIFT's pick"),
        ("mean_logprob", "which is most likely sample"),
        ("oracle", "give it another name"),
        ("a/b", "name is 'a/b', expected letters, digits"),
        ("", "name is '', expected letters"),
        (".x", "expected letters"),
        ("swift+rm", "expected letters"),
        (5, "name is 5, expected letters"),
    ],
)
def test_bad_names(tmp_path, path, name, message):
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=message):
        add_scores(path, name, TextScorer())
    assert contents(tmp_path) == before


def test_what_cannot_be_scored_is_said_before_anything_is(tmp_path):
    path = write(tmp_path, [*PROMPTS, dataclasses.replace(PROMPTS[0], id="bad")])
    scorer, before = TextScorer(), contents(tmp_path)
    with pytest.raises(ValueError, match="prompt 'bad' is too long"):
        add_scores(path, "rm", scorer)
    assert not scorer.scored and contents(tmp_path) == before


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no candidates file"):
        add_scores(tmp_path / "none" / "a.jsonl", "rm", TextScorer())
    path = write(tmp_path, [])
    with pytest.raises(ValueError, match="a.jsonl has no prompts"):
        add_scores(path, "rm", TextScorer())
    append_candidates(path, PROMPTS)
    (tmp_path / "a.header.json").unlink()
    with pytest.raises(FileNotFoundError, match="there is no header"):
        add_scores(path, "rm", TextScorer())


def test_a_second_run_at_once(path):
    class Impatient(TextScorer):
        def score(self, prompts):
            with pytest.raises(ValueError, match="a.jsonl is being written by another run; wait"):
                add_scores(path, "other", TextScorer())
            return super().score(prompts)

    add_scores(path, "rm", Impatient())
    assert read_candidates(path) == expected()
    with only_run(path), pytest.raises(ValueError, match="another run"):
        add_scores(path, "other", TextScorer())
    add_scores(path, "other", TextScorer())


def test_collecting_goes_on_after_scoring(path):
    """It compares the settings that it knows."""
    settings = read_header(path)
    add_scores(path, "rm", TextScorer())
    check_same_settings(read_header(path), settings, path, "")


def test_prompts_that_came_meanwhile_stay(path):
    new = dataclasses.replace(PROMPTS[0], id="new")

    class Slow(TextScorer):
        def score(self, prompts):
            if not self.scored:
                append_candidates(path, [new])
            return super().score(prompts)

    add_scores(path, "rm", Slow())
    assert read_candidates(path) == [*expected(), new]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_with_a_reward_model(tmp_path, path, batch_size):
    model, tokenizer = shared_reward_model(), tiny_tokenizer()
    added = score_with_reward_model(path, model, tokenizer, batch_size=batch_size)
    assert (added.name, added.num_prompts, added.num_not_finite) == ("reward-llama", 12, 0)
    rows = RewardModelScorer(model, tokenizer).score(PROMPTS)
    for prompt, row, asked in zip(read_candidates(path), rows, PROMPTS, strict=True):
        scores = [candidate.scores["reward-llama"] for candidate in prompt.candidates]
        assert scores == pytest.approx(row.scores, rel=1e-4, abs=1e-4)
        assert [c.text for c in prompt.candidates] == [c.text for c in asked.candidates]
    header = json.loads((tmp_path / "a.header.json").read_text())
    origin = RewardModelScorer(model, tokenizer).origin
    assert header["added_scores"] == {"reward-llama": origin}


def test_a_name_for_a_reward_model(path):
    model, tokenizer = shared_reward_model(), tiny_tokenizer()
    assert score_with_reward_model(path, model, tokenizer, name="mine").name == "mine"
    with pytest.raises(ValueError, match="name is '', expected"):
        score_with_reward_model(path, model, tokenizer, name="")
