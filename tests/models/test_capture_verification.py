"""A model's decoder and blocks are found once, and proven."""

import gc
import weakref

import pytest
import torch
import transformers
from torch import nn

from capture_cases import assert_same_states, capture_forward, forward
from model_probes import hooks_of
from swift_bon.models.capture import Capture, find_decoder_parts
from tiny_models import SHAPE, build, tiny_model


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


@pytest.mark.parametrize("width", [8, 48])
def test_states_of_other_widths_are_refused(width):
    """As those of OPT-350m, whose last one is as wide as its embeddings."""
    model = tiny_model("opt", word_embed_proj_dim=width)
    model.name_or_path = "own/narrow"
    forward(model, output_hidden_states=True)
    hooks = hooks_of(model)
    message = rf"OPTForCausalLM 'own/narrow' .*width 32 and {width}, .*swift_kernels\.score_cand"
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            find_decoder_parts(model)
    assert hooks_of(model) == hooks
