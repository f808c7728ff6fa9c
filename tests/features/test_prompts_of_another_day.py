"""Features of candidates whose prompts had a date, made on another day."""

import warnings
from dataclasses import replace
from functools import partial

import pytest

from feature_cases import (
    PROJECTED,
    assert_same_features,
    extract,
    features_by_prompt,
    shared_model,
)
from prompt_cases import CLOCK_TEMPLATE, set_day
from swift_bon.candidates.files import read_candidates, read_header, replace_candidates
from swift_bon.collection.runs import collect
from swift_bon.features.extraction import project_features
from swift_bon.features.model_features import stream_features
from swift_bon.features.store import FeatureStore
from swift_bon.models.stored_prompts import StoredPrompts
from tiny_models import CHAT_TEMPLATE, tiny_tokenizer

CLOCK = tiny_tokenizer(CLOCK_TEMPLATE)
STATES = {"projection": None, "dtype": "float32"}
TUESDAY, FRIDAY = 4, 7
HOURLY = "{{ strftime_now('%j of %H') }}" + CHAT_TEMPLATE
GUARDED = "{% if strftime_now is defined %}{{ strftime_now('%d') }}{% endif %}" + CHAT_TEMPLATE
ASIDE = "{% set year = strftime_now('%Y') %}" + CHAT_TEMPLATE  # read, and not written


def gather(path, tokenizer=CLOCK, limit=4, **options):
    settings = {"num_return_sequences": 2, "max_new_tokens": 6, "show_progress": False}
    collect(shared_model(), tokenizer, path, limit=limit, **settings, **options)
    return path


@pytest.fixture
def path(tmp_path, monkeypatch):
    set_day(monkeypatch, TUESDAY)
    gather(tmp_path / "a.jsonl")
    return tmp_path / "a.jsonl"


def forget_prompts(path, count=None) -> None:
    prompts = read_candidates(path)
    kept = [replace(prompt, prompt_token_ids=None) for prompt in prompts[:count]]
    replace_candidates(path, [*kept, *prompts[len(kept) :]])


def stored(path, folder, tokenizer=CLOCK, **changes):
    store = extract(path, folder, tokenizer=tokenizer, **{**STATES, **changes})
    return features_by_prompt(store, read_candidates(path))


def streamed(path, folder, tokenizer=CLOCK):
    source = stream_features(shared_model(), tokenizer, path)
    return features_by_prompt(source, read_candidates(path))


def projected(path, folder, tokenizer=CLOCK):
    stored(path, folder, tokenizer)
    store = project_features(
        path, folder, folder.with_name("p"), show_progress=False, **PROJECTED, dtype="float32"
    )
    return features_by_prompt(store, read_candidates(path))


@pytest.mark.parametrize("make", [stored, streamed, partial(stored, projection="mixed")])
def test_they_are_those_of_the_day(path, tmp_path, monkeypatch, make):
    expected = make(path, tmp_path / "tuesday")
    set_day(monkeypatch, FRIDAY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_features(make(path, tmp_path / "friday"), expected)


def test_a_store_that_grew_over_days(path, tmp_path, monkeypatch):
    first = stored(path, tmp_path / "store")
    set_day(monkeypatch, FRIDAY)
    gather(path, limit=6)
    grown = stored(path, tmp_path / "store")
    assert_same_features({name: grown[name] for name in first}, first)
    set_day(monkeypatch, FRIDAY + 1)
    anew = stored(path, tmp_path / "anew")  # in another batch, which rounds otherwise
    assert_same_features(anew, grown, rtol=1e-3, atol=1e-5)
    both = projected(path, tmp_path / "store")
    assert both.keys() == grown.keys()


def test_a_store_of_another_day_is_refused(path, tmp_path, monkeypatch):
    stored(path, tmp_path / "store")
    set_day(monkeypatch, FRIDAY)
    other = gather(tmp_path / "b.jsonl")
    candidates = [prompt.candidates for prompt in read_candidates(path)]
    prompts = zip(read_candidates(other), candidates, strict=True)
    replace_candidates(other, [replace(prompt, candidates=row) for prompt, row in prompts])
    with pytest.raises(ValueError, match="other tokens for the prompt"):
        stored(other, tmp_path / "store")
    with pytest.raises(ValueError, match="other tokens for the prompt"):
        FeatureStore(tmp_path / "store", read_candidates(other))


@pytest.mark.parametrize("make", [stored, streamed, partial(stored, projection="mixed")])
@pytest.mark.parametrize("count", [None, 1], ids=["all_old", "one_old"])
@pytest.mark.parametrize("template", [CLOCK_TEMPLATE, HOURLY, GUARDED])
def test_one_warning_where_the_day_was_not_kept(tmp_path, monkeypatch, make, count, template):
    set_day(monkeypatch, TUESDAY)
    path = gather(tmp_path / "a.jsonl", tiny_tokenizer(template))
    forget_prompts(path, count)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(path, tmp_path / "store", tiny_tokenizer(template))
    (message,) = [str(one.message) for one in caught]
    assert message.startswith("the chat template writes the date or the time, and what it wrote")


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, CHAT_TEMPLATE + "{# strftime_now #}"])
def test_no_warning_without_a_clock(tmp_path, template):
    path = gather(tmp_path / "a.jsonl", tiny_tokenizer(template))
    forget_prompts(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored(path, tmp_path / "store", tiny_tokenizer(template))


def test_no_warning_where_an_argument_is_the_date(tmp_path, monkeypatch):
    path = gather(tmp_path / "a.jsonl", chat_template_kwargs={"today": "Long ago"})
    (first, *_) = read_candidates(path)
    assert CLOCK.decode(first.prompt_token_ids).startswith("Long ago<user>")
    expected = stored(path, tmp_path / "kept")
    forget_prompts(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rendered = stored(path, tmp_path / "rendered")
    assert_same_features(rendered, expected)


def test_ids_that_the_model_does_not_have(path):
    prompts = read_candidates(path)
    for bad in (-1, 64, 10**30):
        changed = replace(prompts[0], prompt_token_ids=[5, bad])
        replace_candidates(path, [changed, *prompts[1:]])
        with pytest.raises(ValueError, match="token ids from .*, expected integers from 0 to 63"):
            stream_features(shared_model(), CLOCK, path)


def test_kept_ids_need_no_template(path):
    prompts, bare = read_candidates(path), tiny_tokenizer(None)
    ids = StoredPrompts(bare, read_header(path)).token_ids(prompts)
    assert ids == [prompt.prompt_token_ids for prompt in prompts]
    with pytest.raises(ValueError, match="no chat template"):
        StoredPrompts(bare).token_ids([replace(prompts[0], prompt_token_ids=None)])
