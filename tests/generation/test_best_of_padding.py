"""Padding that the model, its head or its tokenizer does not know: what is written is the same."""

import pytest
import torch
from torch import nn
from transformers import GenerationConfig

from best_of_cases import MANY_EOS, PROMPTS, assert_same, prompt_ids, run, said
from decoding_cases import make_head
from feature_cases import named_model, random_prompts, write_candidates
from swift_bon import BestOfNDecoding, best_of_n, extract_features, score_with_head
from swift_bon.generation.best_of import sample_candidates
from tiny_models import PAD, tiny_model, tiny_tokenizer

EARLY = {"max_new_tokens": 12, "num_return_sequences": 5, "eos_token_id": MANY_EOS}


def more_tokens():
    """Three that the model, of 64 tokens, does not have; the last one pads."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<a>", "<b>"])
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert tokenizer.pad_token_id == 66
    return tokenizer


def no_tokens():
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token = None
    return tokenizer


class Negative(type(tiny_tokenizer())):
    """As tokenizers of fine-tuned models have it."""

    pad_token_id = -1


def negative():
    tokenizer = tiny_tokenizer()
    tokenizer.__class__ = Negative
    return tokenizer


TOKENIZERS = {"added": more_tokens, "without": no_tokens, "negative": negative}


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom"])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_pad_token_of_the_tokenizer_changes_nothing(kind, name):
    model = tiny_model(name)
    expected = run(model, **EARLY)
    lengths = {len(ids) for ids in said(expected)}
    assert len(lengths) > 2, "some must end before others"
    assert_same(run(model, tokenizer=TOKENIZERS[kind](), **EARLY), expected)


@pytest.mark.parametrize("pad", [-1, None, 64, 5000])
def test_the_pad_token_of_the_configuration_changes_nothing(pad):
    model = tiny_model("mistral")
    expected = run(model, **EARLY)
    model.generation_config.pad_token_id = model.config.pad_token_id = pad
    assert_same(run(model, tokenizer=more_tokens(), **EARLY), expected)
    given = GenerationConfig(pad_token_id=pad, max_new_tokens=12, eos_token_id=MANY_EOS)
    options = {**EARLY, "generation_config": given}
    assert_same(run(model, tokenizer=more_tokens(), **options), expected)


def test_a_configuration_with_several_ends_and_no_pad_token():
    model = tiny_model("qwen3")
    expected = run(model, **EARLY)
    model.generation_config.eos_token_id = MANY_EOS
    model.generation_config.pad_token_id = None
    options = {"num_return_sequences": 5, "max_new_tokens": 12, "seed": 0}
    assert_same(best_of_n(model, no_tokens(), PROMPTS, make_head(), **options), expected)


@pytest.mark.parametrize("pad", [-1, 64, 70])
def test_a_pad_token_that_is_given_is_one_of_the_models(pad):
    with pytest.raises(ValueError, match=f"pad_token_id is {pad}, expected .* 0 to 63"):
        run(pad_token_id=pad)


@pytest.mark.parametrize("pad", [PAD, 63])
def test_any_pad_token_of_the_model_will_do(pad):
    assert_same(run(pad_token_id=pad, **EARLY), run(**EARLY))


def narrow(num_logits: int):
    """Its head knows fewer tokens than its embedding."""
    model = tiny_model("llama")
    weight = model.lm_head.weight
    model.lm_head = nn.Linear(32, num_logits, bias=False)
    model.lm_head.weight = nn.Parameter(weight[:num_logits].detach().clone())
    return model


@pytest.mark.parametrize("window", [None, 3])
def test_a_head_that_is_narrower_than_the_embedding(window):
    model, tokenizer = narrow(41), tiny_tokenizer()
    chats = [[{"role": "user", "content": "Hi"}]]
    options = {"stream_keys": [1], "confidence_window": window, "max_new_tokens": 12}
    options["eos_token_id"] = MANY_EOS
    (expected,) = sample_candidates(model, tokenizer, chats, make_head(), 6, **options)
    assert max(max(candidate.token_ids) for candidate in expected) < 41
    for pad in (40, 41, 63):  # a candidate that has ended is fed with it
        given = sample_candidates(
            model, tokenizer, chats, make_head(), 6, pad_token_id=pad, **options
        )
        assert given == [expected]


def test_an_embedding_that_is_smaller_than_its_configuration_says():
    model = tiny_model("llama")
    expected = run(model, **EARLY)
    model.config.vocab_size = 80
    assert_same(run(model, tokenizer=more_tokens(), **EARLY), expected)


def test_the_last_token_is_fed_where_others_have_ended():
    """With the padding of `generate`, which the model may not have."""
    model = tiny_model("llama")
    ids = torch.tensor([prompt_ids("Hi")])
    options = {"do_sample": True, "num_return_sequences": 16, "max_new_tokens": 2}
    head, best = make_head("response"), []
    for pad in (PAD, 99):
        torch.manual_seed(4)
        given = {**options, "pad_token_id": pad, "eos_token_id": MANY_EOS}
        best.append(model.generate(ids, custom_generate=BestOfNDecoding(head), **given))
    assert best[0][0, ids.shape[1]] == best[1][0, ids.shape[1]]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_stored_candidates_are_read_with_any_pad_token(kind, tmp_path):
    model, head = named_model(), make_head()
    prompts = random_prompts(8)
    scores = []
    for name, tokenizer in {"plain": tiny_tokenizer(), kind: TOKENIZERS[kind]()}.items():
        folder = tmp_path / name
        folder.mkdir()
        path = write_candidates(folder / "a.jsonl", prompts)
        score_with_head(path, model, tokenizer, head, show_progress=False)
        store = extract_features(
            model, tokenizer, path, folder / "store", projection=None, show_progress=False
        )
        shards = [file.read_bytes() for file in sorted(store.folder.glob("*.safetensors"))]
        scores.append((path.read_text(), shards))
    assert scores[0] == scores[1]
