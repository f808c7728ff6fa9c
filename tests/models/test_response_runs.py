"""Stored candidates are read as `generate` reads them while it writes."""

import pytest
import torch
import transformers

from decoding_cases import make_head
from swift_bon import best_of_n
from swift_bon.models.forward import Response, response_states
from swift_bon.models.proofs import proven
from swift_bon.models.response_runs import shares_prompts
from swift_kernels import score_candidates
from tiny_models import EOS, PAD, SHAPE, build, tiny_model, tiny_tokenizer

PROMPTS = ["Why", "Tell me what it is"]


def roberta():
    config = transformers.RobertaConfig(**{**SHAPE, "is_decoder": True})
    return build(transformers.RobertaForCausalLM, config)


def stops():
    """Words that end a text, in the model's own configuration: `generate` wants a tokenizer."""
    model = tiny_model("phi")
    model.generation_config.stop_strings = ["xyz"]
    return model


@pytest.mark.parametrize("make", [roberta, lambda: tiny_model("gpt2"), stops])
def test_positions_are_those_of_generate(make):
    """RoBERTa counts from its padding token on where nobody tells it, as `generate` does."""
    model, head = make(), make_head()
    results = best_of_n(
        model, tiny_tokenizer(), PROMPTS, head, 3, seed=4, max_new_tokens=6, eos_token_id=EOS
    )
    rendered = [
        tiny_tokenizer()(f"<user>{text}</s><assistant>", add_special_tokens=False)["input_ids"]
        for text in PROMPTS
    ]
    for prompt, result in enumerate(results):
        for candidate in result.candidates:
            ids = candidate.token_ids
            if len(ids) < 2:
                continue
            (batch,) = response_states(
                model,
                rendered,
                [Response(prompt, ids, len(ids) - 1)],
                layers=(0, 1, 2, 3),
                pad_id=PAD,
                batch_size=1,
            )
            score = score_candidates(tuple(layer[None] for layer in batch.layers), head)
            assert score.item() == pytest.approx(candidate.score, rel=1e-4, abs=1e-5)


def test_a_token_that_the_whole_model_reads_otherwise_is_in_the_proof():
    """As a placeholder of a picture, which some models replace before their decoder runs."""
    model = tiny_model("llama")
    assert proven(model, shares_prompts)
    model.config.image_token_id = 33
    inner = model.forward

    def forward(input_ids, **kwargs):
        return inner(input_ids=torch.where(input_ids == 33, PAD, input_ids), **kwargs)

    model.forward = forward
    assert not proven(model, shares_prompts)
