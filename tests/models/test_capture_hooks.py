"""The hooks of a capture: there while it is open, and never after."""

import pytest
import torch

from capture_cases import INPUT_IDS, assert_same_states, capture_forward, forward
from model_probes import hooks_of
from swift_bon.models.capture import Capture, find_decoder_parts
from tiny_models import tiny_model


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
