"""Captured tensors are those of `output_hidden_states=True`, bit for bit."""

import pytest
import torch
import transformers

from capture_cases import ATTENTION_MASK, INPUT_IDS, assert_same_states, capture_forward, forward
from swift_bon.models.capture import Capture
from swift_bon.models.identity import num_hidden_layers
from swift_bon.models.prefix import CACHE_ARGUMENT, find_cache
from tiny_models import ARCHITECTURES, SHAPE, build, tiny_model

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_states_equal_output_hidden_states(name, dtype):
    model = tiny_model(name, dtype)
    states, outputs = capture_forward(model, attention_mask=ATTENTION_MASK, use_cache=False)
    expected = forward(
        model, attention_mask=ATTENTION_MASK, use_cache=False, output_hidden_states=True
    )
    assert len(states) == SHAPE["num_hidden_layers"] + 1
    assert_same_states(states, expected.hidden_states, ATTENTION_MASK.bool())
    assert torch.equal(outputs.logits, expected.logits)
    assert outputs.hidden_states is None
    different = {state[-1, -1].float().sum().item() for state in states}
    assert len(different) == len(states), "two layers are alike, so a mix-up would go unseen"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_states_of_a_decoding_step(name):
    model = tiny_model(name)
    masks = {"attention_mask": torch.cat([ATTENTION_MASK, torch.ones(3, 1, dtype=torch.int64)], 1)}
    step = torch.tensor([[11], [29], [47]])
    results = []
    for wanted in (False, True):  # a cache is used up by the step
        cache = find_cache(forward(model, attention_mask=ATTENTION_MASK, use_cache=True))
        kwargs = {**masks, CACHE_ARGUMENT: cache, "use_cache": True}
        if wanted:
            results.append(forward(model, step, output_hidden_states=True, **kwargs).hidden_states)
        else:
            results.append(capture_forward(model, step, **kwargs)[0])
    captured, expected = results
    assert captured[0].shape == (3, 1, SHAPE["hidden_size"])
    assert_same_states(captured, expected)


@pytest.mark.parametrize("layers", [(0,), (3,), (1, 2), (0, 3), (0, 1, 2, 3)], ids=str)
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3", "opt"])
def test_layer_subsets(name, layers):
    model = tiny_model(name)
    states, _ = capture_forward(model, layers=layers)
    expected = forward(model, output_hidden_states=True).hidden_states
    assert_same_states(states, [expected[layer] for layer in layers])


def test_states_with_input_embeddings_and_tuple_outputs():
    model = tiny_model("qwen2")
    expected = forward(model, output_hidden_states=True).hidden_states
    received = []
    with torch.no_grad(), Capture(model, received.append):
        model(inputs_embeds=model.get_input_embeddings()(INPUT_IDS), return_dict=False)
    assert_same_states(received[0], expected)


def test_a_model_with_pictures_is_captured_in_its_language_model():
    text = {**SHAPE, "head_dim": 8, "sliding_window": 4}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3}
    vision |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=63
    )
    model = build(transformers.Gemma3ForConditionalGeneration, config)
    assert num_hidden_layers(model) == 3
    states, _ = capture_forward(model, INPUT_IDS % 60)
    expected = forward(model, INPUT_IDS % 60, output_hidden_states=True)
    assert_same_states(states, expected.hidden_states)


def test_newest_only_keeps_the_last_token_and_nothing_more():
    model = tiny_model("llama")
    expected = forward(model, output_hidden_states=True).hidden_states
    received = []
    with torch.no_grad(), Capture(model, received.append, newest_only=True):
        model(input_ids=INPUT_IDS)
    assert_same_states(received[0], [state[:, -1:] for state in expected])
    for state in received[0]:
        assert state.untyped_storage().nbytes() == state.numel() * state.element_size()


def test_every_forward_is_received():
    model = tiny_model("gpt_neox")
    received = []
    with torch.no_grad(), Capture(model, received.append):
        for length in (2, 5, 1):
            model(input_ids=INPUT_IDS[:, :length])
    assert [states[0].shape[1] for states in received] == [2, 5, 1]
