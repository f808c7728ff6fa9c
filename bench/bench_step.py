"""One `RunningScore.update`, in pytest-benchmark."""

import pytest
import torch

from eager_head import EagerHead
from machine import default_device
from oracle import random_head, random_layers
from running_forms import EagerRunning, check_running
from shapes import SHAPES
from swift_kernels import RunningScore
from timing import synchronize

DEVICE = default_device()
SHAPE = SHAPES["Qwen2.5-0.5B"]


@pytest.mark.parametrize("form", ["swift_kernels", "eager"])
@pytest.mark.parametrize("num_candidates", [1, 64])
def bench_step(benchmark, num_candidates, form):
    head = random_head(SHAPE.num_layers, SHAPE.hidden_size, DEVICE).requires_grad_(False)
    eager = EagerHead(head).requires_grad_(False)
    size = (num_candidates, 3, SHAPE.hidden_size)
    layers = random_layers(SHAPE.num_layers, size, torch.float32, DEVICE)
    check_running(layers, head, eager)
    step = [layer[:, :1].contiguous() for layer in layers]
    active = torch.ones(num_candidates, dtype=torch.bool, device=DEVICE)
    running = {
        "swift_kernels": RunningScore(head, num_candidates, DEVICE),
        "eager": EagerRunning(eager, num_candidates, DEVICE),
    }[form]
    benchmark.group = f"update, {SHAPE.name}, N={num_candidates}"

    def run():
        running.update(step, active)
        synchronize(DEVICE)

    benchmark(run)
