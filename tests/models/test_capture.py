"""Captured tensors are those of `output_hidden_states=True`, bit for bit, and nothing is left."""

import gc
import threading
import time
import weakref

import pytest
import torch
import transformers
from torch import nn

from swift_bon.models.capture import Capture, find_decoder_parts
from swift_bon.models.identity import num_hidden_layers
from swift_bon.models.prefix import CACHE_ARGUMENT, find_cache
from tiny_models import ARCHITECTURES, SHAPE, VOCAB, build, tiny_model

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
INPUT_IDS = (torch.arange(27) * 7 % len(VOCAB)).view(3, 9)
ATTENTION_MASK = torch.tensor(
    [[0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1]]
)


def hooks_of(model) -> list:
    """All forward hooks, those that transformers installs for `output_hidden_states` included."""
    return [
        (name, key)
        for name, module in model.named_modules()
        for key in [*module._forward_hooks, *module._forward_pre_hooks]
    ]


def assert_same_states(captured, expected, kept=None):
    assert len(captured) == len(expected)
    for layer, (state, other) in enumerate(zip(captured, expected, strict=True)):
        assert state.shape == other.shape and state.dtype == other.dtype, layer
        if kept is not None:
            state, other = state[kept], other[kept]
        assert torch.equal(state, other), f"hidden state {layer} differs"


@torch.no_grad()
def forward(model, input_ids=INPUT_IDS, **kwargs):
    return model(input_ids=input_ids, **kwargs)


@torch.no_grad()
def capture_forward(model, input_ids=INPUT_IDS, *, layers=None, **kwargs):
    """The hidden states of one plain forward, and its outputs."""
    received = []
    with Capture(model, received.append, layers=layers):
        outputs = model(input_ids=input_ids, **kwargs)
    (states,) = received
    return states, outputs


# The states.


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


# The verification, once per model.


def test_a_model_is_verified_once():
    model = tiny_model("llama")
    forwards = []
    model.register_forward_hook(lambda *_: forwards.append(1))
    parts = find_decoder_parts(model)
    assert parts.blocks is model.model.layers and parts.decoder is model.model
    assert len(forwards) == 1
    assert find_decoder_parts(model) is parts
    capture_forward(model)
    assert len(forwards) == 2


def test_verification_leaves_training_mode_and_gradients_as_they_were():
    model = tiny_model("gpt2", attn_pdrop=0.5, embd_pdrop=0.5, resid_pdrop=0.5)
    model.train()
    model.transformer.h[1].eval()
    find_decoder_parts(model)
    modes = {name: module.training for name, module in model.named_modules()}
    assert all(mode != name.startswith("transformer.h.1") for name, mode in modes.items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_verification_does_not_move_the_random_stream():
    model = tiny_model("gpt2", resid_pdrop=0.5)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    find_decoder_parts(model)
    assert torch.equal(torch.rand(4), expected)


def test_a_verified_model_can_be_freed():
    model = tiny_model("llama")
    capture_forward(model)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


class AlteredStates(transformers.LlamaForCausalLM):
    """Its hidden states are not what its blocks are given."""

    def forward(self, *args, **kwargs):
        outputs = super().forward(*args, **kwargs)
        if outputs.hidden_states is not None:
            outputs.hidden_states = tuple(state * 1.001 for state in outputs.hidden_states)
        return outputs


class NoStates(transformers.LlamaForCausalLM):
    def forward(self, *args, **kwargs):
        outputs = super().forward(*args, **kwargs)
        outputs.hidden_states = None
        return outputs


def refused_models():
    llama = transformers.LlamaConfig(**SHAPE)
    yield "altered", lambda: build(AlteredStates, llama)
    yield "none", lambda: build(NoStates, llama)
    # Mamba returns the outputs of its blocks where others return the inputs.
    mamba = transformers.MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=3)
    yield "mamba", lambda: build(transformers.MambaForCausalLM, mamba)


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in refused_models()])
def test_a_model_whose_states_cannot_be_reproduced_is_refused(make):
    model = make()
    forward(model, output_hidden_states=True)
    hooks = hooks_of(model)
    with pytest.raises(ValueError, match=r"cannot be captured.*swift_kernels\.score_candidates"):
        Capture(model, print)
    assert hooks_of(model) == hooks
    with pytest.raises(ValueError, match=type(model).__name__):
        find_decoder_parts(model)


class UnusedList(transformers.LlamaModel):
    """A list as long as that of the blocks, ahead of it."""

    def __init__(self, config):
        super().__init__(config)
        blocks = self._modules.pop("layers")
        self.unused = nn.ModuleList(nn.Identity() for _ in blocks)
        self.layers = blocks


class OtherArguments(UnusedList):
    """As `UnusedList`, but its modules run, and are not called with hidden states."""

    def forward(self, *args, **kwargs):
        for module in self.unused:
            module(input=torch.ones(1))
        return super().forward(*args, **kwargs)


@pytest.mark.parametrize("decoder_class", [UnusedList, OtherArguments])
def test_a_list_of_the_same_length_is_not_taken_for_the_blocks(decoder_class):
    model = tiny_model("llama")
    decoder = build(decoder_class, model.config)
    decoder.load_state_dict(model.model.state_dict())
    expected = forward(model, output_hidden_states=True).hidden_states
    model.model = decoder
    assert find_decoder_parts(model).blocks is decoder.layers
    states, _ = capture_forward(model)
    assert_same_states(states, expected)


# Opening and closing.


def test_hooks_are_there_only_while_open():
    model = tiny_model("llama")
    find_decoder_parts(model)
    hooks = hooks_of(model)
    with Capture(model, print):
        assert len(hooks_of(model)) == len(hooks) + 3 + 2  # one a block, two around the decoder
    assert hooks_of(model) == hooks


@pytest.mark.parametrize("where", ["body", "receive", "block"])
def test_hooks_are_gone_after_an_exception(where, monkeypatch):
    model = tiny_model("llama")
    find_decoder_parts(model)
    hooks = hooks_of(model)

    def fail(*args, **kwargs):
        raise KeyError(where)

    with pytest.raises(KeyError, match=where), torch.no_grad():
        with Capture(model, fail if where == "receive" else list):
            if where == "body":
                fail()
            if where == "block":
                monkeypatch.setattr(model.model.layers[1], "forward", fail)
            model(input_ids=INPUT_IDS)
    assert hooks_of(model) == hooks
    monkeypatch.undo()
    states, _ = capture_forward(model)  # and it can be opened again
    assert len(states) == 4


def test_a_forward_that_failed_half_way_leaves_nothing_behind(monkeypatch):
    model = tiny_model("llama")
    received = []

    def fail(*args, **kwargs):
        raise KeyError("half-way")

    with torch.no_grad(), Capture(model, received.append):
        monkeypatch.setattr(model.model.layers[2], "forward", fail)
        with pytest.raises(KeyError):
            model(input_ids=INPUT_IDS[:1])
        monkeypatch.undo()
        model(input_ids=INPUT_IDS)
    assert_same_states(received[0], forward(model, output_hidden_states=True).hidden_states)
    assert len(received) == 1


def test_a_block_that_does_not_run_is_reported(monkeypatch):
    model = tiny_model("llama")
    find_decoder_parts(model)
    monkeypatch.setattr(model.model.config, "num_hidden_layers", 2)  # the last block is left out
    with pytest.raises(RuntimeError, match="gave 3 hidden states, expected 4"):
        capture_forward(model)


def test_a_second_capture_in_one_thread_is_refused():
    model = tiny_model("llama")
    with Capture(model, print):
        hooks = hooks_of(model)
        with pytest.raises(RuntimeError, match="already being scored in this thread"):
            with Capture(model, print):
                raise AssertionError
        assert hooks_of(model) == hooks  # the first goes on
    with Capture(model, print):
        assert len(hooks_of(model)) == len(hooks)


def test_two_models_can_be_captured_in_one_thread():
    first, second = tiny_model("llama"), tiny_model("llama", seed=1)
    received = [], []
    with torch.no_grad():
        with Capture(first, received[0].append), Capture(second, received[1].append):
            first(input_ids=INPUT_IDS)
            second(input_ids=INPUT_IDS)
    for model, (states,) in zip((first, second), received, strict=True):
        assert_same_states(states, forward(model, output_hidden_states=True).hidden_states)


# Threads.


def run_in_threads(*functions) -> None:
    errors = []

    def run(function):
        try:
            with torch.no_grad():
                function()
        except BaseException as error:  # handed on to the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_forwards_of_another_thread_pass_by_unseen():
    model = tiny_model("llama")
    received = []
    with torch.no_grad(), Capture(model, received.append):
        run_in_threads(lambda: model(input_ids=INPUT_IDS))
        assert received == []
        model(input_ids=INPUT_IDS[:1])
    assert [states[0].shape[0] for states in received] == [1]


def test_two_threads_capture_one_model_at_once():
    model = tiny_model("llama")
    inputs = INPUT_IDS[:1], INPUT_IDS[1:, :4]
    received = [], []
    barrier = threading.Barrier(2, timeout=60)

    def wait(*_):  # every block starts in both threads at once
        barrier.wait()

    blocks = find_decoder_parts(model).blocks
    hooks = hooks_of(model)
    handles = [block.register_forward_pre_hook(wait) for block in blocks]

    def work(index):
        with Capture(model, received[index].append):
            barrier.wait()
            for _ in range(3):
                model(input_ids=inputs[index])
            barrier.wait()

    run_in_threads(lambda: work(0), lambda: work(1))
    for handle in handles:
        handle.remove()
    assert hooks_of(model) == hooks
    for input_ids, every in zip(inputs, received, strict=True):
        assert len(every) == 3
        expected = forward(model, input_ids, output_hidden_states=True).hidden_states
        for states in every:
            assert_same_states(states, expected)


def test_two_threads_may_verify_one_model_at_once():
    model = tiny_model("llama").train()
    started, forwards = threading.Event(), []

    def work_slowly(*_):
        forwards.append(1)
        started.set()
        time.sleep(0.2)

    def verify_later():
        started.wait(timeout=60)
        find_decoder_parts(model)

    model.register_forward_pre_hook(work_slowly)
    run_in_threads(lambda: find_decoder_parts(model), verify_later)
    assert model.training
    assert len(forwards) == 1


def test_a_hook_closed_by_another_thread_in_mid_call_does_no_harm():
    """PyTorch asks whether a hook takes keyword arguments after it began to walk the hooks."""
    model = tiny_model("llama")
    with Capture(model, print):
        block = model.model.layers[0]
        (hook,) = block._forward_pre_hooks.values()
        run_in_threads(lambda: hook(block, ()))
