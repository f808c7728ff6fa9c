"""Adapters, compiled wrappers and replaced forwards change nothing that the model does not say."""

import peft
import pytest
import torch

from best_of_cases import assert_same, said
from decoding_cases import make_head
from swift_bon import best_of_n
from swift_bon.generation.batch_proof import prove_batches
from swift_bon.models.forward import Response, response_states
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
def test_states_after_learned_prompts_are_the_models_own(kind):
    model = learned_prompt(kind)
    expected = []
    for response in RESPONSES:
        ids = torch.tensor([[*RENDERED[response.prompt], *response.token_ids]])
        with torch.no_grad():
            outputs = model(
                input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True
            )
        length = len(response.token_ids)
        every = torch.cat(outputs.hidden_states)[:, -length:]
        expected.append(every[:, : response.num_scored])
    torch.testing.assert_close(states(model), torch.cat(expected, dim=1), rtol=1e-4, atol=1e-4)
