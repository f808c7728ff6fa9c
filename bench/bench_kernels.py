"""What users call, against the eager forms, in pytest-benchmark."""

import pytest
import torch

from measuring.machine import default_device
from measuring.oracle import (
    SHAPES,
    ModelShape,
    check_accuracy,
    exact_scores,
    random_head,
    random_layers,
    relative_error,
)
from measuring.timing import synchronize
from peers.eager_head import EagerHead
from peers.running_forms import EagerRunning, check_running
from peers.score_forms import OURS, Case, eager_forms
from swift_kernels import RunningScore
from train_step import exact_gradients, steps_of

DEVICE = default_device()
QWEN = SHAPES["Qwen2.5-0.5B"]
CASES = {
    "qwen2.5-0.5b": (QWEN, 8, 256),
    "llama-3.1-8b-quarter": (ModelShape("Llama-3.1-8B, 9 of 33 layers", 9, 4096), 8, 256),
}
TRAIN_CASE = Case(QWEN, 4, 128, torch.bfloat16)


def timed(benchmark, run, group: str) -> None:
    """The time of `run` until the device has finished."""
    benchmark.group = group

    def run_and_wait():
        run()
        synchronize(DEVICE)

    benchmark(run_and_wait)


def head_of(shape: ModelShape):
    return random_head(shape.num_layers, shape.hidden_size, DEVICE)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def dtype(request):
    return getattr(torch, request.param)


@pytest.fixture(scope="module", params=CASES)
def batch(request, dtype):
    case = Case(*CASES[request.param], dtype)
    head, layers = head_of(case.shape), case.layers(DEVICE)
    return case, layers, head.requires_grad_(False), exact_scores(layers, head)


@pytest.fixture(scope="module")
def training():
    layers, head = TRAIN_CASE.layers(DEVICE), head_of(QWEN)
    factors = torch.linspace(-1, 2, TRAIN_CASE.num_candidates, device=DEVICE)
    return steps_of(head, layers, factors), exact_gradients(head, layers, factors)


@pytest.mark.parametrize("form", [OURS, "eager", "per_layer"])
def bench_score(benchmark, batch, form):
    """`score_candidates`."""
    case, layers, head, exact = batch
    score = eager_forms(head, case.dtype)[form]
    check_accuracy(form, relative_error(score(layers), exact), None)
    benchmark.extra_info["bytes"] = case.num_bytes
    group = f"{case.shape.name}, {case.num_candidates} x {case.num_tokens}, {case.dtype}"
    timed(benchmark, lambda: score(layers), group)


@pytest.mark.parametrize("form", [OURS, "eager"])
@pytest.mark.parametrize("num_candidates", [1, 64])
def bench_step(benchmark, num_candidates, form):
    """One `RunningScore.update`."""
    head = head_of(QWEN).requires_grad_(False)
    eager = EagerHead(head).requires_grad_(False)
    size = (num_candidates, 3, QWEN.hidden_size)
    layers = random_layers(QWEN.num_layers, size, torch.float32, DEVICE)
    check_running(layers, head, eager)
    step = [layer[:, :1].contiguous() for layer in layers]
    active = torch.ones(num_candidates, dtype=torch.bool, device=DEVICE)
    running = {
        OURS: RunningScore(head, num_candidates, DEVICE),
        "eager": EagerRunning(eager, num_candidates, DEVICE),
    }[form]
    timed(
        benchmark, lambda: running.update(step, active), f"update, {QWEN.name}, N={num_candidates}"
    )


@pytest.mark.parametrize("form", [OURS, "eager", "per_layer"])
def bench_train_step(benchmark, training, form):
    """Forward and backward of the head."""
    steps, exact = training
    for gradient, expected in zip(steps[form](), exact, strict=True):
        check_accuracy(form, relative_error(gradient, expected, least_scale=1e-30), None)
    group = f"train step, {QWEN.name}, {TRAIN_CASE.num_candidates} x {TRAIN_CASE.num_tokens}"
    timed(benchmark, steps[form], group)
