"""Ctrl-C at any point of a capture: the model is usable, and as it was."""

import pytest
import torch
from torch.utils.hooks import RemovableHandle

from capture_cases import INPUT_IDS
from interrupt_cases import Interrupter, first_times, places_of
from model_probes import hooks_of
from swift_bon.models import capture as capture_module
from swift_bon.models import interrupts
from swift_bon.models.capture import Capture
from tiny_models import tiny_model

MODULES = [capture_module, interrupts]


@torch.no_grad()
def captured(model) -> list:
    received = []
    with Capture(model, received.append):
        model(input_ids=INPUT_IDS)
    return received


def forget(model) -> None:
    capture_module._verified_parts.pop(model, None)


def modes_of(model) -> list[bool]:
    return [module.training for module in model.modules()]


def assert_same(received, expected) -> None:
    assert len(received) == len(expected)
    for ours, theirs in zip(received, expected, strict=True):
        assert all(map(torch.equal, ours, theirs))


@pytest.fixture
def model():
    """With some parts in training mode, though nothing in it is random."""
    model = tiny_model("qwen2", num_hidden_layers=2)
    model.train()
    model.model.layers[1].eval()
    captured(model)  # transformers has hooks of its own from the first time on
    return model


@pytest.mark.parametrize("is_verified", [False, True], ids=["first", "verified"])
def test_an_interrupt_at_any_point(model, is_verified):
    hooks, modes = hooks_of(model), modes_of(model)
    expected = captured(model)
    if not is_verified:
        forget(model)
    places = places_of(MODULES, lambda: captured(model))
    kept = []  # as a notebook keeps the last traceback, with all of its frames
    indices = range(len(places)) if is_verified else first_times(places)
    for index in indices:
        place = places[index]
        if not is_verified:
            forget(model)
        kept.append(Interrupter(MODULES, index).run(lambda: captured(model)))
        assert kept[-1] is not None, place
        assert modes_of(model) == modes, place
        assert_same(captured(model), expected)
        assert hooks_of(model) == hooks, place
        assert modes_of(model) == modes, place


def test_what_an_interrupt_left_does_nothing(model):
    """Its hooks see no forward, whether or not a capture has come since."""
    received = []

    def interrupted():
        with Capture(model, received.append):
            pass

    places = places_of(MODULES, interrupted)
    (closing,) = [
        index
        for index, (_, line, kind) in enumerate(places)
        if kind == "call" and line == Capture._close.__code__.co_firstlineno
    ]
    hooks = hooks_of(model)
    kept = Interrupter(MODULES, closing).run(interrupted)
    assert kept is not None
    assert len(hooks_of(model)) > len(hooks)
    model(input_ids=INPUT_IDS)
    assert received == []
    captured(model)
    assert hooks_of(model) == hooks


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (torch.nn.Module, "register_forward_pre_hook"),
        (torch.nn.Module, "register_forward_hook"),
        (RemovableHandle, "remove"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_interrupt_of_each_registration_and_removal(model, owner, name, is_before, monkeypatch):
    hooks = hooks_of(model)
    expected = captured(model)
    original, calls, interrupted_at = getattr(owner, name), [], []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if is_before and len(calls) in interrupted_at:
            raise KeyboardInterrupt
        result = original(*args, **kwargs)
        if not is_before and len(calls) in interrupted_at:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, name, interrupted)
    captured(model)
    assert calls or owner is RemovableHandle
    for wanted in range(1, len(calls) + 1):
        calls.clear()
        interrupted_at[:] = [wanted]
        with pytest.raises(KeyboardInterrupt):
            captured(model)
        assert_same(captured(model), expected)
        assert hooks_of(model) == hooks


def test_a_capture_inside_another_one_is_refused_after_an_interrupt(model):
    places = places_of(MODULES, lambda: captured(model))
    kept = [Interrupter(MODULES, index).run(lambda: captured(model)) for index in (40, 60)]
    assert len(places) > 60 and all(kept)
    received = []
    with torch.no_grad(), Capture(model, received.append):
        with pytest.raises(RuntimeError, match="already being scored in this thread"):
            captured(model)
        model(input_ids=INPUT_IDS)  # the outer one goes on
    assert len(received) == 1


def test_a_capture_in_a_generator_that_waits_is_open(model):
    def steps():
        with Capture(model, print):
            yield

    waiting = steps()
    next(waiting)
    with pytest.raises(RuntimeError, match="already being scored in this thread"):
        captured(model)
    waiting.close()
    captured(model)


def test_a_capture_is_closed_by_the_one_who_opened_it(model):
    """By hand, without `with`."""
    hooks, received = hooks_of(model), []
    capture = Capture(model, received.append).__enter__()
    with torch.no_grad():
        model(input_ids=INPUT_IDS)
    capture.__exit__(None, None, None)
    assert len(received) == 1
    assert hooks_of(model) == hooks
    captured(model)
