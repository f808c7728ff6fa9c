"""Families built from nothing but their configuration: models that tell, and what comes of them."""

import json

import pytest
import torch
import transformers

import architectures
from architectures import FAILED, LIMITED, NOT_BUILT, PASSED, REFUSED, SPEECHLESS, examine
from families import Family, families, family_model
from rendering.architecture_table import render_architectures
from table_cases import CPU
from tables import RESULTS, load_records

# Of different kinds, none of them in tiny_models: ALiBi, learned positions with an offset, layers
# of two kinds, latent attention, states instead of a cache, pictures, the decoder of a pair,
# a cache that keeps the first forward apart
PASSING = [
    "mpt",
    "biogpt",
    "gpt_neo",
    "deepseek_v2",
    "falcon_h1",
    "jamba",
    "qwen3_next",
    "dbrx",
    "llava",
    "qwen2_vl",
    "bart",
    "gemma4",
    "unlimited_ocr",
]
NOT_PASSING = [
    ("zamba2", LIMITED, "other logits than one forward"),
    ("roberta", LIMITED, "other logits than one forward"),
    ("recurrent_gemma", LIMITED, "one thread at a time"),
    ("mamba", REFUSED, "cannot be captured"),
    ("xlm", REFUSED, "feeds other tokens to itself than it has written"),
    ("udop", REFUSED, "is an encoder-decoder model"),
    ("blip", SPEECHLESS, ""),
]


def family(model_type: str) -> Family:
    return next(family for family in families() if family.model_type == model_type)


@pytest.mark.parametrize("name", PASSING)
def test_a_family_passes(name):
    row = examine(family(name))
    assert (row["outcome"], row["words"]) == (PASSED, "")


@pytest.mark.parametrize(("name", "outcome", "words"), NOT_PASSING)
def test_a_family_that_does_not_pass_says_why(name, outcome, words):
    row = examine(family(name))
    assert row["outcome"] == outcome
    assert row["words"]
    assert words in row["words"]


def test_a_model_that_cannot_be_built_says_why():
    row = examine(Family("llama", "LlamaForNothing"))
    assert row["outcome"] == NOT_BUILT
    assert "LlamaForNothing" in row["words"]


def test_an_error_of_the_model_is_no_refusal(monkeypatch):
    def build(_):
        model = family_model(family("llama"))
        forward = model.forward

        def wrong(input_ids=None, **kwargs):  # with a head only, which hooks its layers
            if model.model.layers[0]._forward_pre_hooks:
                raise ValueError("no hooks here")
            return forward(input_ids=input_ids, **kwargs)

        model.forward = wrong
        return model

    monkeypatch.setattr(architectures, "family_model", build)
    row = examine(family("llama"))
    assert row["outcome"] == FAILED
    assert "no hooks here" in row["words"]


@pytest.mark.parametrize("name", PASSING)
@torch.no_grad()
def test_tokens_and_their_order_matter_to_a_family(name):
    model = family_model(family(name))
    ids = torch.tensor([[5, 10, 11, 12, 13, 14, 15]])
    other, swapped = ids.clone(), ids.clone()
    other[0, -3] = 30
    swapped[0, [-3, -2]] = ids[0, [-2, -3]]
    logits, *changed = (model(input_ids=row).logits[0, -1] for row in (ids, other, swapped))
    for values in changed:
        assert (values - logits).abs().max() > 0.01 * logits.abs().max()


def test_a_family_is_the_same_each_time_and_leaves_the_random_stream_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, two = (family_model(family("mpt")) for _ in range(2))
    assert torch.equal(torch.rand(2), expected)
    for left, right in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("record", load_records("architectures", RESULTS))
def test_the_record_has_every_family_and_none_that_failed(record):
    outcomes = {(row["family"], row["class"]): row["outcome"] for row in record["rows"]}
    assert len(outcomes) == len(record["rows"])
    assert record["counts"][PASSED] == list(outcomes.values()).count(PASSED) >= 110
    assert FAILED not in outcomes.values()
    if record["machine"]["transformers"] == transformers.__version__:
        assert set(outcomes) == set(map(tuple, families()))


def test_the_page_gives_a_reason_for_each_family_that_did_not_pass():
    rows = [
        {"family": "one", "class": "One", "outcome": PASSED, "words": ""},
        {"family": "two", "class": "TwoForText", "outcome": PASSED, "words": ""},
        {"family": "two", "class": "TwoForPictures", "outcome": REFUSED, "words": "a | b <image>"},
    ]
    counts = {PASSED: 2, LIMITED: 0, REFUSED: 1, SPEECHLESS: 0, NOT_BUILT: 0, FAILED: 0}
    record = {"machine": CPU, "seconds": 1234, "processes": 2, "counts": counts, "rows": rows}
    text = render_architectures(json.loads(json.dumps(record)))
    assert "3 families tried, 2 passed (2 classes of models) in 1,234 s" in text
    assert "`one`, `two` (`TwoForText`)." in text
    assert r"| `two` (`TwoForPictures`) | TwoForPictures | a \| b &lt;image> |" in text
    assert "failed" not in text
