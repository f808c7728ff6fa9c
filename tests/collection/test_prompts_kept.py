"""What is kept of a prompt: the token ids that the model read, on whatever day that was."""

import json
import warnings
from dataclasses import replace

import pytest
import torch

from prompt_cases import CLOCK_TEMPLATE, set_day, text_of
from scoring_cases import shared_reward_model
from swift_bon.candidates.files import read_candidates, read_header, replace_candidates
from swift_bon.collection.head_scores import score_with_head
from swift_bon.collection.reward_models import score_with_reward_model
from swift_bon.collection.rollouts import import_rollouts
from swift_bon.collection.runs import collect
from swift_kernels import RewardHead
from tiny_models import CHAT_TEMPLATE, VOCAB, tiny_tokenizer

SETTINGS = {"num_return_sequences": 3, "batch_size": 3, "max_new_tokens": 6, "seed": 5}
HEAD = RewardHead(4, 32)
THINKING = "{% if enable_thinking %}T{% endif %}" + CHAT_TEMPLATE
MONDAY, SUNDAY = 3, 9


@pytest.fixture
def clock():
    return tiny_tokenizer(CLOCK_TEMPLATE)


def days(path, tokenizer) -> list[str]:
    prompts = read_candidates(path)
    return [text_of(tokenizer, prompt.prompt_token_ids).split("<")[0] for prompt in prompts]


def test_each_line_has_its_day(model, clock, tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    set_day(monkeypatch, MONDAY)
    collect(model, clock, path, limit=2, **SETTINGS)
    before = path.read_bytes()
    set_day(monkeypatch, SUNDAY)
    collect(model, clock, path, limit=3, **SETTINGS)
    assert days(path, clock) == ["Monday", "Monday", "Sunday"]
    assert path.read_bytes().startswith(before)


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "rendered_anew"])
def test_scores_of_another_day_are_those_of_the_day(model, clock, tmp_path, monkeypatch, is_kept):
    path = tmp_path / "a.jsonl"
    set_day(monkeypatch, MONDAY)
    collect(model, clock, path, limit=4, head=HEAD, **SETTINGS)
    set_day(monkeypatch, SUNDAY)
    if not is_kept:  # as version 0.2 wrote them
        forget_prompts(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score_with_head(path, model, clock, HEAD, name="again", show_progress=False)
    scores = [c.scores for prompt in read_candidates(path) for c in prompt.candidates]
    pairs = [(row["swift"], row["again"]) for row in scores if "swift" in row]
    assert len(pairs) > 5
    same = [again == pytest.approx(first, rel=1e-4, abs=1e-5) for first, again in pairs]
    messages = [str(one.message) for one in caught]
    if is_kept:
        assert all(same)
        assert not messages
    else:
        assert not any(same)
        (message,) = messages
        assert "writes the date or the time" in message


def forget_prompts(path) -> None:
    prompts = [replace(prompt, prompt_token_ids=None) for prompt in read_candidates(path)]
    replace_candidates(path, prompts)
    assert "prompt_token_ids" not in path.read_text()


def test_old_and_new_lines_in_one_file(model, tokenizer, tmp_path):
    path, whole = tmp_path / "a.jsonl", tmp_path / "whole.jsonl"
    collect(model, tokenizer, whole, limit=3, head=HEAD, **SETTINGS)
    collect(model, tokenizer, path, limit=2, head=HEAD, **SETTINGS)
    forget_prompts(path)
    header = path.with_name("a.header.json")
    settings = json.loads(header.read_text())
    del settings["chat_template_kwargs"]
    header.write_text(json.dumps(settings))  # as version 0.2 wrote it
    mixed = collect(model, tokenizer, path, limit=3, head=HEAD, **SETTINGS)
    expected = read_candidates(whole)
    assert [prompt.prompt_token_ids is None for prompt in mixed] == [True, True, False]
    assert mixed[2] == expected[2]
    assert [prompt.candidates for prompt in mixed] == [prompt.candidates for prompt in expected]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score_with_head(path, model, tokenizer, HEAD, name="again", show_progress=False)


def test_arguments_of_the_template_are_kept(model, tmp_path):
    tokenizer, path = tiny_tokenizer(THINKING), tmp_path / "a.jsonl"
    arguments = {"chat_template_kwargs": {"enable_thinking": True}}
    collect(model, tokenizer, path, limit=2, **SETTINGS, **arguments)
    assert read_header(path)["chat_template_kwargs"] == {"enable_thinking": True}
    assert days(path, tokenizer) == ["T", "T"]
    with pytest.raises(ValueError, match="chat_template_kwargs was .*True.*, now None"):
        collect(model, tokenizer, path, limit=2, **SETTINGS)
    collect(model, tokenizer, path, limit=3, **SETTINGS, **arguments)
    assert days(path, tokenizer) == ["T"] * 3
    score_with_head(path, model, tokenizer, HEAD, name="kept", show_progress=False)
    forget_prompts(path)
    score_with_head(path, model, tokenizer, HEAD, name="rendered", show_progress=False)
    for prompt in read_candidates(path):
        for candidate in prompt.candidates:
            assert candidate.scores.get("kept") == candidate.scores.get("rendered")


def test_an_argument_that_no_file_holds_is_refused(model, tokenizer, tmp_path):
    def add(a: int):
        """Add. Args: a: one."""

    with pytest.raises(TypeError, match="^chat_template_kwargs cannot be kept.*get_json_schema"):
        collect(
            *(model, tokenizer, tmp_path / "a.jsonl"),
            **{**SETTINGS, "chat_template_kwargs": {"tools": [add]}},
        )
    assert not list(tmp_path.iterdir())


def test_a_question_that_cannot_be_rendered_is_named(model, tmp_path):
    tokenizer = tiny_tokenizer("{{ raise_exception('no questions on Sundays') }}")
    with pytest.raises(
        ValueError, match=r"^the question '.+' cannot be rendered .*: no questions on Sundays"
    ):
        collect(model, tokenizer, tmp_path / "a.jsonl", limit=1, **SETTINGS)


def shuffled_tokenizer():
    """Of another model: the letters have other ids."""
    tokenizer = tiny_tokenizer(CLOCK_TEMPLATE)
    data = json.loads(tokenizer.backend_tokenizer.to_str())
    letters = [token for token in VOCAB if len(token) == 1]
    for token, other in zip(letters, reversed(letters), strict=True):
        data["model"]["vocab"][token] = VOCAB[other]
    tokenizer._tokenizer = type(tokenizer.backend_tokenizer).from_str(json.dumps(data))
    return tokenizer


def test_another_tokenizer_is_told_from_another_day(model, clock, tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    set_day(monkeypatch, MONDAY)
    collect(model, clock, path, limit=2, **SETTINGS)
    set_day(monkeypatch, SUNDAY)
    with pytest.raises(ValueError, match="^the tokenizer does not write the candidates of prompt"):
        score_with_head(path, model, shuffled_tokenizer(), HEAD, show_progress=False)


@pytest.mark.parametrize("template", [None, "{{ 'No' }}"], ids=["none", "another"])
def test_another_template_changes_no_score(model, tokenizer, tmp_path, template):
    path = tmp_path / "a.jsonl"
    collect(model, tokenizer, path, limit=3, head=HEAD, **SETTINGS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score_with_head(
            path, model, tiny_tokenizer(template), HEAD, name="again", show_progress=False
        )
    for prompt in read_candidates(path):
        for candidate in prompt.candidates:
            first = candidate.scores.get("swift")
            assert candidate.scores.get("again") == pytest.approx(first, rel=1e-4, abs=1e-5)
    assert len(caught) == (template is not None)
    assert all("renders prompt" in str(one.message) for one in caught)


@pytest.mark.parametrize("template", [None, CHAT_TEMPLATE, CLOCK_TEMPLATE, THINKING])
def test_what_an_import_keeps(tmp_path, template, monkeypatch):
    set_day(monkeypatch, SUNDAY)
    tokenizer, source = tiny_tokenizer(template), tmp_path / "theirs.json"
    rows = [{"prompt": p, "reference": "a", "completions": ["b"], "correctness": [0]} for p in "xy"]
    source.write_text(json.dumps(rows))
    options = {
        "model": "tiny/llama",
        "task": "theirs",
        "instruction": "Say ",
        "show_progress": False,
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import_rollouts(
            *(source, tmp_path / "a.jsonl", tokenizer),
            **{**options, "chat_template_kwargs": {"enable_thinking": True}},
        )
    assert len(caught) == (template == CLOCK_TEMPLATE)
    for prompt in read_candidates(tmp_path / "a.jsonl"):
        if template is None:
            assert prompt.prompt_token_ids is None
            continue
        start = {CLOCK_TEMPLATE: "Sunday", THINKING: "T"}.get(template, "")
        expected = f"{start}<user>{prompt.prompt}</s><assistant>"
        assert text_of(tokenizer, prompt.prompt_token_ids) == expected


@pytest.mark.parametrize("name", ["pixel_values", "logits_processor"])
def test_what_no_header_holds_is_refused_before_anything_is_sampled(
    model, tokenizer, tmp_path, name
):
    value = {"pixel_values": torch.zeros(1, 3, 8, 8, dtype=torch.float32)}.get(name, object())
    with pytest.raises(
        TypeError, match=f"^{name} is .*, which the header of the candidates cannot"
    ):
        collect(model, tokenizer, tmp_path / "a.jsonl", **{**SETTINGS, name: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, CLOCK_TEMPLATE], ids=["plain", "clock"])
def test_one_warning_where_a_reward_model_reads_the_clock(model, tmp_path, template):
    path = tmp_path / "a.jsonl"
    collect(model, tiny_tokenizer(), path, limit=3, **SETTINGS)
    judge = shared_reward_model()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score_with_reward_model(path, judge, tiny_tokenizer(template), show_progress=False)
    messages = [str(one.message) for one in caught]
    assert len(messages) == (template == CLOCK_TEMPLATE)
    assert all("the scores are those of today" in message for message in messages)


@pytest.mark.parametrize("has_begun_with", [CHAT_TEMPLATE, CLOCK_TEMPLATE], ids=["plain", "clock"])
@pytest.mark.parametrize(
    "make_other",
    [lambda: tiny_tokenizer(CHAT_TEMPLATE + "?"), shuffled_tokenizer],
    ids=["template", "tokenizer"],
)
def test_a_run_goes_on_with_the_prompts_it_began_with(model, tmp_path, has_begun_with, make_other):
    path, other = tmp_path / "a.jsonl", make_other()
    collect(model, tiny_tokenizer(has_begun_with), path, limit=2, **SETTINGS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"a\.jsonl was begun with .*prompt '.*another file"):
        collect(model, other, path, limit=4, **SETTINGS)
    assert path.read_bytes() == before
