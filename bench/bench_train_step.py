"""Forward and backward of the head, in pytest-benchmark."""

import pytest
import torch

from machine import default_device
from oracle import check_accuracy, random_head, relative_error
from score_forms import OURS, Case
from shapes import SHAPES
from timing import synchronize
from train_step import exact_gradients, steps_of

DEVICE = default_device()
CASE = Case(SHAPES["Qwen2.5-0.5B"], 4, 128, torch.bfloat16)


@pytest.fixture(scope="module")
def inputs():
    layers = CASE.layers(DEVICE)
    head = random_head(CASE.shape.num_layers, CASE.shape.hidden_size, DEVICE)
    factors = torch.linspace(-1, 2, CASE.num_candidates, device=DEVICE)
    return steps_of(head, layers, factors), exact_gradients(head, layers, factors)


@pytest.mark.parametrize("form", [OURS, "eager", "per_layer"])
def bench_train_step(benchmark, inputs, form):
    steps, exact = inputs
    for gradient, expected in zip(steps[form](), exact, strict=True):
        check_accuracy(form, relative_error(gradient, expected, least_scale=1e-30), None)
    benchmark.group = f"train step, {CASE.shape.name}, {CASE.num_candidates} x {CASE.num_tokens}"

    def run():
        steps[form]()
        synchronize(DEVICE)

    benchmark(run)
