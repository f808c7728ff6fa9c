"""Captures of one model in several threads."""

import threading
import time

import torch

from capture_cases import INPUT_IDS, assert_same_states, forward
from model_probes import hooks_of
from swift_bon.models.capture import Capture, find_decoder_parts
from tiny_models import tiny_model


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
