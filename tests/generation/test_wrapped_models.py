"""Adapters, compiled wrappers and replaced forwards change nothing that the model does not say."""

import gc
import re
import weakref

import peft
import pytest
import torch

from best_of_cases import assert_same, said
from decoding_cases import make_head
from swift_bon import best_of_n
from swift_bon.generation.batch_proof import prove_batches
from swift_bon.models import proofs
from swift_bon.models.forward import Response, response_states
from swift_kernels import score_candidates
from tiny_models import PAD, tiny_model, tiny_tokenizer
from wrapped_models import WRAPPERS, with_replaced_forward

FAMILIES = ["llama", "qwen3", "gpt2", "opt", "gemma3", "bloom", "mistral"]
PROMPTS = ["No", "What is the sum of two and nine?", "Why"]
RENDERED = [[4, 20, 21], [4, 9, 30, 31, 32, 33, 34, 5], [7]]
RESPONSES = [
    Response(0, [8, 9, 10], 3),
    Response(0, [40, 41], 2),
    Response(1, [11, 12, 13, 14], 3),
    Response(1, [50], 1),
    Response(2, [23, 24, 25, 26, 27], 5),
]


def sample(model, **kwargs):
    arguments = {"num_return_sequences": 5, "max_new_tokens": 7, "seed": 11, **kwargs}
    return best_of_n(model, tiny_tokenizer(), PROMPTS, make_head(), **arguments)


def states(model) -> torch.Tensor:
    """`[L, tokens, H]` of all responses, in their order."""
    (batch,) = response_states(
        model, RENDERED, RESPONSES, layers=(0, 1, 2, 3), pad_id=PAD, batch_size=9
    )
    lengths = [RESPONSES[index].num_scored for index in batch.responses]
    rows = torch.stack(batch.layers).split(lengths, dim=1)
    return torch.cat([rows[batch.responses.index(i)] for i in range(len(RESPONSES))], dim=1)


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrapper_changes_nothing(family, wrap):
    wrapped = wrap(tiny_model(family))
    assert_same(sample(wrapped), sample(tiny_model(family)))
    torch.testing.assert_close(states(wrapped), states(tiny_model(family)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_the_prefill_is_still_shared(wrap):
    assert prove_batches(wrap(tiny_model("qwen3"))) == (True, True, True, False, True)


def test_a_model_that_was_wrapped_later_is_proven_again():
    model = tiny_model("gpt2")  # whose positions are learned: it needs to be told them
    assert not prove_batches(model).needs_position_ids
    before = sample(model)
    with_replaced_forward(model)
    assert prove_batches(model).needs_position_ids
    assert_same(sample(model), before)


def test_an_adapter_with_an_effect_is_in_the_text_and_in_the_states():
    model = tiny_model("llama")
    bare = states(model)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    ).eval()
    assert not torch.allclose(states(adapted), bare, atol=1e-2)
    text = sample(adapted)
    merged = adapted.merge_and_unload()
    assert_same(text, sample(merged))
    torch.testing.assert_close(states(adapted), states(merged), rtol=1e-4, atol=1e-4)


def learned_prompt(kind):
    torch.manual_seed(3)
    config = kind(task_type="CAUSAL_LM", num_virtual_tokens=4)
    return peft.get_peft_model(tiny_model("llama"), config).eval()


@pytest.mark.parametrize("kind", [peft.PromptTuningConfig, peft.PrefixTuningConfig])
def test_learned_prompts_give_what_plain_generate_gives(kind):
    model, tokenizer = learned_prompt(kind), tiny_tokenizer()
    results = sample(model, num_return_sequences=1, do_sample=False)
    for prompt, ids in zip(PROMPTS, said(results), strict=True):
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        inputs.pop("token_type_ids", None)
        plain = model.generate(**inputs, max_new_tokens=7, do_sample=False, pad_token_id=PAD)
        assert plain[0, inputs["input_ids"].shape[1] :].tolist() == ids
    alone, together = sample(model, batch_size=1), sample(model, batch_size=64)
    assert_same(alone, together)


@pytest.mark.parametrize("kind", [peft.PromptTuningConfig, peft.PrefixTuningConfig])
def test_learned_prompts_are_trained_on_where_the_states_are_those_of_generate(kind):
    """With other states a head would be trained on what it never scores."""
    model = learned_prompt(kind)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.5)
    try:
        states(model)
    except ValueError as error:
        assert re.search(
            r"the adapter \(P\w+\) puts learned prompts before .* not trained", str(error)
        )
        return
    (result,) = best_of_n(model, tiny_tokenizer(), "Why", make_head(), 3, seed=2, max_new_tokens=6)
    for candidate in result.candidates:
        assert scored_offline(model, candidate) == pytest.approx(candidate.score, abs=1e-4)


def scored_offline(model, candidate) -> float:
    ids = tiny_tokenizer()("<user>Why</s><assistant>", add_special_tokens=False)["input_ids"]
    response = Response(0, candidate.token_ids, len(candidate.token_ids) - 1)
    (batch,) = response_states(
        model, [ids], [response], layers=(0, 1, 2, 3), pad_id=PAD, batch_size=1
    )
    return score_candidates(tuple(layer[None] for layer in batch.layers), make_head()).item()


def test_an_activated_lora_is_refused_by_name():
    config = peft.LoraConfig(task_type="CAUSAL_LM", alora_invocation_tokens=[5])
    model = peft.get_peft_model(tiny_model("llama"), config).eval()
    with pytest.raises(ValueError, match="the adapter is an activated LoRA"):
        sample(model)


def drop_positions(module, args, kwargs):
    kwargs.pop("position_ids", None)
    return args, kwargs


def with_inputs_of_its_own(model):
    inner = model.prepare_inputs_for_generation

    def prepare(*args, **kwargs):
        return drop_positions(None, None, inner(*args, **kwargs))[1]

    model.prepare_inputs_for_generation = prepare


def with_a_class_of_its_own(model):
    class Own(type(model)):
        def forward(self, *args, **kwargs):
            return super().forward(*args, **drop_positions(self, args, kwargs)[1])

    model.__class__ = Own


@pytest.mark.parametrize("change", [with_inputs_of_its_own, with_a_class_of_its_own])
def test_what_is_changed_after_a_proof_is_proven_again(change):
    """GPT-2 without its positions is wrong behind padding: prompts stand apart then."""
    model = tiny_model("gpt2")
    sample(model)
    assert prove_batches(model).pads
    change(model)
    assert not prove_batches(model).pads
    assert_same(sample(model, batch_size=64), sample(model, batch_size=1))


def test_proofs_do_not_pile_up_and_let_the_model_go():
    model = tiny_model("llama")
    for _ in range(6):
        with_replaced_forward(model)
        prove_batches(model)
    assert all(len(kept) <= 4 for kept in proofs._proofs[model].values())
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None
