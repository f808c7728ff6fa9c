"""What is no causal language model, or no tokenizer, is refused in words, wherever it comes in."""

from pathlib import Path

import pytest
import torch
import transformers

from feature_cases import named_model
from swift_bon import (
    BestOfNDecoding,
    best_of_n,
    collect,
    extract_features,
    inspect_prompt,
    score_with_head,
    stream_features,
)
from swift_bon.models.model_checks import check_model, check_model_and_tokenizer
from swift_kernels import RewardHead
from tiny_models import ARCHITECTURES, SHAPE, build, tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
BERT = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 8}


def gemma3n():
    changes = {
        "head_dim": 8,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": SHAPE["vocab_size"],
        "num_kv_shared_layers": 0,
        "laurel_rank": 4,
        "altup_num_inputs": 3,
        "activation_sparsity_pattern": [0.0] * 3,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    }
    config = transformers.Gemma3nTextConfig(**{**SHAPE, **changes})
    return build(transformers.Gemma3nForCausalLM, config)


def bert(name: str):
    return build(getattr(transformers, name), transformers.BertConfig(vocab_size=64, **BERT))


def other_task(name: str):
    return build(getattr(transformers, name), tiny_model("qwen2").config)


def t5():
    config = transformers.T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=8, num_layers=1)
    return build(transformers.T5ForConditionalGeneration, config)


def pipeline():
    return transformers.pipeline("text-generation", model=tiny_model("gpt2"), tokenizer=TOKENIZER)


class WithValueHead(torch.nn.Module):
    """As TRL's `AutoModelForCausalLMWithValueHead`."""

    def __init__(self, model):
        super().__init__()
        self.pretrained_model, self.config, self.v_head = model, None, torch.nn.Linear(32, 1)

    def generate(self, *args, **kwargs):
        return self.pretrained_model.generate(*args, **kwargs)


class BareTokenizer:
    """Reads text and renders chats, and knows no special tokens."""

    def __call__(self, text):
        return {"input_ids": [1]}

    def apply_chat_template(self, chat, **options):
        return "Hi"


REFUSED = {
    "id": (lambda: "org/name", r"model is 'org/name'.*swift_bon\.load_model\('org/name'\)"),
    "path": (lambda: Path("runs/a"), "model is 'runs/a', expected a loaded model"),
    "none": (lambda: None, "model is NoneType, expected a causal language model"),
    "class": (lambda: transformers.LlamaForCausalLM, "model is type, expected a causal"),
    "layer": (lambda: torch.nn.Linear(2, 2), "model is Linear, expected a causal language model"),
    "pipeline": (pipeline, r"model is a TextGenerationPipeline.*pass pipeline\.model"),
    "parallel": (
        lambda: torch.nn.DataParallel(tiny_model("gpt2")),
        r"wrapped in DataParallel, which cannot generate; pass model\.module",
    ),
    "compiled-parallel": (
        lambda: torch.compile(torch.nn.DataParallel(tiny_model("gpt2"))),
        r"wrapped in DataParallel, which cannot generate; pass model\.module",
    ),
    "value-head": (
        lambda: WithValueHead(tiny_model("mistral")),
        r"model is a WithValueHead, .*; pass model\.pretrained_model",
    ),
    "compiled-value-head": (
        lambda: WithValueHead(torch.compile(tiny_model("gpt2"))),
        r"pass model\.pretrained_model",
    ),
    "tokenizer": (tiny_tokenizer, "model is a tokenizer, .*the model comes first"),
    "bare": (lambda: tiny_model("qwen2").model, "Qwen2Model has no language-model head.*AutoModel"),
    "classifier": (
        lambda: other_task("Qwen2ForSequenceClassification"),
        "Qwen2ForSequenceClassification has no language-model head",
    ),
    "tokens": (lambda: other_task("Qwen2ForTokenClassification"), "no language-model head"),
    "masked": (lambda: bert("BertForMaskedLM"), "BertForMaskedLM has no language-model head"),
    "reads-ahead": (lambda: bert("BertLMHeadModel"), "BertLMHeadModel is an encoder.*is_decoder"),
    "t5": (t5, "T5ForConditionalGeneration is an encoder-decoder model"),
    "gemma3n": (gemma3n, r"Gemma3nForCausalLM keeps 3 streams of states.*Gemma 3n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_model_is_refused(name):
    make, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=message):
        check_model(make())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_models_are_taken(name):
    check_model(tiny_model(name))


def test_decoders_that_were_encoders_are_taken():
    config = transformers.BertConfig(vocab_size=64, is_decoder=True, **BERT)
    check_model(build(transformers.BertLMHeadModel, config))
    check_model(torch.compile(tiny_model("gpt_neox")))


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (None, "tokenizer is None, expected the model's tokenizer; load both with"),
        ("org/name", "tokenizer is 'org/name', expected a loaded tokenizer"),
        (Path("a"), "tokenizer is 'a', expected a loaded tokenizer"),
        (tiny_model("gpt2"), "tokenizer is GPT2LMHeadModel, expected the model's tokenizer"),
        (str.split, "tokenizer is method_descriptor, expected the model's tokenizer"),
        (BareTokenizer(), "tokenizer is BareTokenizer, which has no pad_token_id.*expected"),
    ],
    ids=["none", "id", "path", "model", "function", "no-special-tokens"],
)
def test_what_is_no_tokenizer_is_refused(tokenizer, message):
    with pytest.raises(TypeError, match=message):
        check_model_and_tokenizer(tiny_model("gpt2"), tokenizer)


USES = {
    "best_of_n": lambda m, t, path, head: best_of_n(m, t, "Hi", head, 2),
    "collect": lambda m, t, path, head: collect(m, t, path, limit=1),
    "collect-head": lambda m, t, path, head: collect(m, t, path, limit=1, head=head),
    "extract": lambda m, t, path, head: extract_features(m, t, path, path.with_name("store")),
    "stream": lambda m, t, path, head: stream_features(m, t, path),
    "score": lambda m, t, path, head: score_with_head(path, m, t, head),
    "inspect": lambda m, t, path, head: inspect_prompt(m, t, "Hi", head, 2),
}


@pytest.mark.parametrize("use", USES)
def test_wherever_it_comes_in(use, tmp_path):
    path, good, head = tmp_path / "a.jsonl", named_model("llama"), RewardHead(4, 32)
    options = {"limit": 2, "num_return_sequences": 2, "max_new_tokens": 4}
    collect(good, TOKENIZER, path, show_progress=False, **options)
    before = path.read_bytes()
    for model, message in [
        ("org/name", "expected a loaded model"),
        (good.model, "LlamaModel has no language-model head"),
        (torch.nn.DataParallel(good), "pass model.module"),
        (gemma3n(), "streams of states"),
        (TOKENIZER, "model is a tokenizer"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            USES[use](model, TOKENIZER, path, head)
    with pytest.raises(TypeError, match="tokenizer is None"):
        USES[use](good, None, path, head)
    assert path.read_bytes() == before


def test_as_a_decoding_method():
    model, inputs = gemma3n(), TOKENIZER("Hi", return_tensors="pt")
    with pytest.raises(ValueError, match="Gemma3nForCausalLM keeps 3 streams"):
        model.generate(**inputs, custom_generate=BestOfNDecoding(RewardHead(4, 32)))
