"""Bars of what fills a candidates file: there before the work begins, and silent when asked."""

import json

import pytest

from added_cases import PROMPTS, TextScorer
from feature_cases import shared_model
from head_score_cases import head_of
from scoring_cases import shared_reward_model
from swift_bon.collection import head_scores, reward_models, rollouts, runs
from swift_bon.collection.added_scores import add_scores
from tiny_models import tiny_tokenizer

SETTINGS = {"limit": 3, "num_return_sequences": 2, "max_new_tokens": 3}
ROLLOUTS = [{"prompt": "a", "reference": "b", "completions": ["a", "b"], "correctness": [0, 1]}]


def collect(path, **options):
    new = path.with_name("new.jsonl")
    return runs.collect(shared_model(), tiny_tokenizer(), new, **SETTINGS, **options)


def score_with_head(path, **options):
    return head_scores.score_with_head(path, shared_model(), tiny_tokenizer(), head_of(), **options)


def score_with_reward_model(path, **options):
    model = shared_reward_model()
    return reward_models.score_with_reward_model(path, model, tiny_tokenizer(), **options)


def import_rollouts(path, **options):
    source = path.with_name("rollouts.json")
    source.write_text(json.dumps(ROLLOUTS))
    names = {"model": "a", "task": "own"}
    new = path.with_name("new.jsonl")
    return rollouts.import_rollouts(source, new, tiny_tokenizer(), **names, **options)


RUNS = {
    collect: "collecting: 100%",
    score_with_head: "scoring swift: 100%",
    score_with_reward_model: "scoring reward-llama: 100%",
    import_rollouts: "importing: 1prompt",
}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_a_bar_says_what_is_done(run, path, capfd):
    run(path)
    assert RUNS[run] in capfd.readouterr().err


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_no_word_where_progress_is_off(run, path, capfd):
    run(path, show_progress=False)
    assert capfd.readouterr() == ("", "")


def test_collect_shows_a_bar_before_the_first_sample(path, capfd, monkeypatch):
    shown = []
    sample = runs.sample_questions

    def record(*args, **kwargs):
        shown.append(capfd.readouterr().err)
        return sample(*args, **kwargs)

    monkeypatch.setattr(runs, "sample_questions", record)
    collect(path)
    assert "collecting:   0%" in shown[0] and "0/3" in shown[0]


def test_a_run_that_goes_on_begins_its_bar_where_it_stopped(path, capfd, monkeypatch):
    collect(path, batch_size=2)
    file = path.with_name("new.jsonl")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    capfd.readouterr()
    collect(path, batch_size=2)
    assert "2/3" in capfd.readouterr().err


def test_scores_show_a_bar_before_the_first_one(path, capfd):
    shown = []

    class Recorder(TextScorer):
        def score(self, prompts):
            shown.append(capfd.readouterr().err)
            return super().score(prompts)

    add_scores(path, "rm", Recorder())
    assert "checking: 12prompt" in shown[0] and "scoring rm:   0%" in shown[0]
    assert len(PROMPTS) == 12
