"""Prompts that `best_of_n` cannot take, and how long a text may be."""

import pytest
from transformers import GenerationConfig

from best_of_cases import PROMPTS, N, Recorder, assert_same, chat, prompt_ids, run, said
from decoding_cases import make_head
from swift_bon import best_of_n
from swift_bon.generation import best_of as generation
from tiny_models import tiny_model, tiny_tokenizer


@pytest.mark.parametrize(
    ("prompts", "error", "message"),
    [
        ("", ValueError, r"prompts\[0\] is empty"),
        (" \n\t", ValueError, r"prompts\[0\] is empty"),
        (["No", ""], ValueError, r"prompts\[1\] is empty"),
        ([chat("No"), []], ValueError, r"prompts\[1\] is empty"),
        ([chat("  ")], ValueError, r"prompts\[0\] is empty, expected at least one message"),
        (None, TypeError, "prompts is NoneType, expected a string, chat messages, or a list"),
        (7, TypeError, "prompts is int"),
        (chat("No")[0], TypeError, "prompts is dict"),
        pytest.param((text for text in ["No"]), TypeError, "prompts is generator", id="generator"),
        ([7], TypeError, r"prompts\[0\] is int, expected a string or a list of messages"),
        (["No", None], TypeError, r"prompts\[1\] is NoneType"),
        ([["No"]], TypeError, r"prompts\[0\] is list, expected .*'role'.*'content'"),
        ([{"role": "user"}], TypeError, r"prompts\[0\] is list, expected .*'role'.*'content'"),
        (b"No", TypeError, r"prompts\[0\] is int"),
    ],
    ids=repr,
)
def test_bad_prompts(prompts, error, message):
    with pytest.raises(error, match=message):
        run(prompts=prompts)


def test_a_prompt_longer_than_the_context():
    model = tiny_model("llama", max_position_embeddings=16)
    model.name_or_path = "tiny/llama"
    length = len(prompt_ids("")), len(prompt_ids("x"))
    assert length == (3, 4)
    fits, full, long = "x" * 9, "x" * 13, "x" * 40  # with the template 12, 16 and 43 tokens
    assert max(map(len, said(run(model, fits, max_new_tokens=4, eos_token_id=None)))) == 4
    with pytest.raises(
        ValueError,
        match=r"prompts\[1\] has 12 tokens and max_new_tokens is 5, together more than the "
        "context of 'tiny/llama', 16",
    ):
        run(model, ["No", fits], max_new_tokens=5)
    config = GenerationConfig(max_new_tokens=5, do_sample=True)
    with pytest.raises(ValueError, match="12 tokens and max_new_tokens is 5"):
        best_of_n(model, tiny_tokenizer(), fits, make_head(), 2, generation_config=config)
    for prompt in (full, long):
        with pytest.raises(ValueError, match=rf"has {len(prompt) + 3} tokens, the context of"):
            run(model, prompt, max_new_tokens=1)


def test_length_where_none_is_given(monkeypatch):
    model, config = tiny_model("llama", max_position_embeddings=24), {"do_sample": True}
    options = {"max_new_tokens": None, "eos_token_id": None}
    longest = max(len(prompt_ids(prompt)) for prompt in PROMPTS)
    assert {len(ids) for ids in said(run(model, **options))} == {24 - longest}
    monkeypatch.setattr(generation, "DEFAULT_MAX_NEW_TOKENS", 4)
    assert {len(ids) for ids in said(run(model, **options))} == {4}
    model.generation_config.max_length = 24  # as many models have; it is no wish of the caller's
    assert {len(ids) for ids in said(run(model, **options))} == {4}
    model.generation_config.max_new_tokens = 6
    assert {len(ids) for ids in said(run(model, **options))} == {6}
    options["generation_config"] = GenerationConfig(**config)
    assert {len(ids) for ids in said(run(model, **options))} == {6}
    options["generation_config"] = GenerationConfig(**config, max_new_tokens=3)
    assert {len(ids) for ids in said(run(model, **options))} == {3}


def test_a_length_that_counts_the_padding_is_refused():
    with pytest.raises(ValueError, match="^max_length is 20, which counts the padding.*max_new_t"):
        run(max_length=20)
    config = GenerationConfig(max_length=20, do_sample=True)
    with pytest.raises(ValueError, match="^max_length is 20, which counts the padding"):
        run(generation_config=config, max_new_tokens=None)
    assert_same(run(generation_config=config, max_new_tokens=8), run())


def test_a_template_that_renders_nothing():
    with pytest.raises(ValueError, match=r"prompts\[0\] is empty once it is rendered"):
        run(tokenizer=tiny_tokenizer("{{ '' }}"))


@pytest.mark.parametrize("length", [None, -1], ids=["none", "minus one"])
def test_a_model_without_a_context_length_takes_any_prompt(length):
    model = tiny_model("bloom")
    if length is None:
        del model.config.max_position_embeddings
    else:
        model.config.max_position_embeddings = length
    assert len(run(model, "x" * 600, max_new_tokens=2)) == 1


@pytest.mark.parametrize("template", [None, ""], ids=["none", "empty"])
def test_missing_chat_template(template):
    with pytest.raises(ValueError, match="no chat template.*set tokenizer.chat_template"):
        run(tokenizer=tiny_tokenizer(template))
    plain = "{% for message in messages %}{{ message.content }}{% endfor %}"
    recorder = Recorder()  # what the error proposes works
    run(prompts="No", tokenizer=tiny_tokenizer(plain), logits_processor=[recorder])
    assert recorder.seen[0].tolist() == [tiny_tokenizer()("No")["input_ids"]] * N


@pytest.mark.parametrize("word", ["xyz", "0"])
def test_a_token_that_the_model_has_not_is_named(word):
    """As where one was added to the tokenizer, and no row to the model."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["0", "xyz"])
    token_id = tokenizer.convert_tokens_to_ids(word)
    message = (
        rf"^prompts\[1\] has the token id {token_id}, {word!r}, and the model knows 64, from 0"
    )
    with pytest.raises(ValueError, match=message):
        run(prompts=["No", f"Is it {word}?"], tokenizer=tokenizer)
    assert len(run(prompts=["No"], tokenizer=tokenizer)) == 1
