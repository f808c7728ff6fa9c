"""Whether a head is for a model: by the weights where they are known, else by the name."""

import warnings

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torchao.quantization import Int8WeightOnlyConfig, quantize_

from decoding_cases import HIDDEN_SIZE, NUM_LAYERS
from swift_bon import BestOfNDecoding, best_of_n
from swift_bon.models import UnprovenModelWarning, fingerprint
from swift_bon.models.identity import (
    Identity,
    check_head_fits,
    check_written_by,
    head_fit,
)
from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer


def head_for(model, name: str | None = "Org/one") -> RewardHead:
    return RewardHead(
        NUM_LAYERS, HIDDEN_SIZE, base_model=name, base_model_fingerprint=fingerprint(model)
    )


def plain(dtype: torch.dtype = torch.float32, seed: int = 5, name: str = "Org/one"):
    model = tiny_model("llama", dtype=dtype, seed=seed)
    model.name_or_path = name
    return model


def with_lora(model, std: float = 0.3, **config):
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, **config)).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=std) if std else None
    return model


def quantized(model):
    quantize_(model, Int8WeightOnlyConfig())
    return model


def trained(model, learning_rate: float):
    """One step of AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    ids = torch.arange(8, 28, device="cpu")[None]
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    return model


@pytest.mark.parametrize(
    "model",
    [
        plain(name="/elsewhere/checkpoint-7"),
        torch.compile(plain()),
        with_lora(plain(), std=0),
        with_lora(plain(), std=0).merge_and_unload(),
        plain(torch.bfloat16),
        plain(torch.float16),
        plain(torch.bfloat16).float(),
    ],
    ids=["name", "compiled", "lora", "merged", "bfloat16", "float16", "rounded"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_same_weights_up_to_rounding(model, dtype):
    head = head_for(plain(dtype))
    assert head_fit(head, model) == ("same", "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_head_fits(head, model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "other",
    [
        lambda: plain(seed=6),
        lambda: trained(plain(), 2e-3),
        lambda: with_lora(plain()).merge_and_unload(),
        lambda: quantized(plain(seed=6)),
        lambda: quantized(trained(plain(), 2e-3)),
        lambda: with_lora(plain(seed=6)),
        lambda: torch.compile(plain(seed=6)),
    ],
    ids=["seed", "trained", "merged", "quantized", "trained-quantized", "lora", "compiled"],
)
def test_other_weights_under_the_same_name_are_refused(other, dtype):
    model = other()
    head = head_for(plain(dtype))
    assert head_fit(head, model).fit == "other"
    with pytest.raises(ValueError, match=r"'Org/one', this one is 'Org/one': \d+ of \d+ tensors"):
        check_head_fits(head, model)
    head.base_model = head.base_model_fingerprint = None  # what the error proposes works
    check_head_fits(head, model)


def test_a_step_of_training_is_seen_at_once():
    model = plain()
    head = head_for(model)
    check_head_fits(head, model)
    trained(model, 1e-5)
    with pytest.raises(ValueError, match="tensors have other values"):
        check_head_fits(head, model)


@pytest.mark.parametrize(
    ("base", "model", "fit", "words"),
    [
        (plain(), with_lora(plain()), "adapted", "this one has adapters at work"),
        (with_lora(plain()), plain(), "adapted", "that one has adapters at work"),
        (with_lora(plain()), with_lora(plain()), "adapted", "both have adapters at work"),
        (plain(), quantized(plain()), "quantized", "this one has quantised weights"),
        (quantized(plain()), plain(), "quantized", "that one has quantised weights"),
        (plain(torch.bfloat16), quantized(plain()), "quantized", "this one has quantised weights"),
    ],
    ids=["to-lora", "from-lora", "two-loras", "to-int8", "from-int8", "bfloat16-to-int8"],
)
def test_a_warning_says_what_differs_once(base, model, fit, words):
    head = head_for(base)
    assert head_fit(head, model).fit == fit
    with pytest.warns(UnprovenModelWarning, match=words) as said:
        check_head_fits(head, model)
        check_head_fits(head, model)
    assert len(said) == 1
    with pytest.warns(UnprovenModelWarning):
        check_head_fits(head_for(base, "Org/another"), model)


def test_what_was_trained_with_an_adapter_or_quantised_fits_itself():
    adapted = with_lora(plain(), modules_to_save=["lm_head"])
    assert head_fit(head_for(adapted), adapted).fit == "same"
    assert head_fit(head_for(adapted), adapted.to(torch.bfloat16)).fit == "same"
    assert head_fit(head_for(quantized(plain())), quantized(plain())).fit == "same"
    merged = with_lora(plain())
    head = head_for(merged)
    assert head_fit(head, merged.merge_and_unload()).fit == "same"


def test_a_head_of_weights_that_are_not_in_memory():
    head, model = head_for(plain()), plain()
    model.model.to("meta")
    verdict = head_fit(head, model)
    assert verdict == ("unproven", "only 1 of 30 tensors can be compared")
    model.to("meta")
    assert head_fit(head, model).fit == "unproven"  # by the name
    model.name_or_path = "Org/two"
    assert head_fit(head, model).fit == "other"


@pytest.mark.parametrize(
    ("base_model", "name", "fit"),
    [
        ("Org/one", "Org/one", "unproven"),
        ("Org/one", "/models/one/", "unproven"),
        ("/old/disk/one-7b", "/new/disk/one-7b", "unproven"),
        ("/runs/a/checkpoint-80", "/runs/a/checkpoint-80", "unproven"),
        ("/runs/a/checkpoint-80", "/runs/b/checkpoint-80", "other"),
        ("/runs/a/checkpoint-80/", "C:\\runs\\b\\checkpoint-80", "other"),
        ("/runs/a/model_2", "/runs/b/model_2", "other"),
        ("a/merged", "b/merged", "other"),
        ("/runs/a/output", "output", "other"),
        ("/runs/a/7", "/runs/b/7", "other"),
        ("Org/one", "Org/two", "other"),
        ("", "Org/two", "other"),
    ],
)
def test_only_the_name_is_known(base_model, name, fit):
    head = RewardHead(NUM_LAYERS, HIDDEN_SIZE, base_model=base_model or None)
    model = plain(name=name)
    if not base_model:
        assert head_fit(head, model).fit == "unproven"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_head_fits(head, model)  # None fits any model
    elif fit == "other":
        with pytest.raises(ValueError, match="its weights are not known, and the names differ"):
            check_head_fits(head, model)
    else:
        with pytest.warns(UnprovenModelWarning, match="its weights are not known; if they are the"):
            check_head_fits(head, model)


def test_where_heads_are_used():
    head, model, tokenizer = head_for(plain()), plain(seed=6), tiny_tokenizer()
    with pytest.raises(ValueError, match="tensors have other values"):
        best_of_n(model, tokenizer, "Hi", head, 2, max_new_tokens=2)
    inputs = tokenizer("Hi", return_tensors="pt")
    with pytest.raises(ValueError, match="tensors have other values"):
        model.generate(**inputs, custom_generate=BestOfNDecoding(head), max_new_tokens=2)
    adapted = with_lora(plain())
    options = {"max_new_tokens": 2, "show_progress": False}
    with pytest.warns(UnprovenModelWarning) as said:
        for _ in range(2):
            best_of_n(adapted, tokenizer, ["Hi", "No", "Yes"], head, 2, batch_size=2, **options)
    assert len([one for one in said if one.category is UnprovenModelWarning]) == 1


@pytest.mark.parametrize("text", ["", "1 float32 4 UIja", "2 float32 4 UIja", "1 int3 4 AAAA"])
def test_a_damaged_fingerprint_is_named(text):
    model = tiny_model("llama")
    head = RewardHead(NUM_LAYERS, HIDDEN_SIZE, base_model="a", base_model_fingerprint=text)
    with pytest.raises(ValueError, match="the head: the fingerprint of a model is damaged or"):
        head_fit(head, model)
    header = {"model": "a", "model_fingerprint": text}
    with pytest.raises(ValueError, match="b.jsonl: the fingerprint of a model is damaged or"):
        check_written_by(header, Identity("a", None), "b.jsonl")
