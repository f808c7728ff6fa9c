"""`score_candidates` against the eager forms, in pytest-benchmark."""

import pytest
import torch

from machine import default_device
from oracle import check_accuracy, exact_scores, random_head, relative_error
from score_forms import OURS, Case, eager_forms
from shapes import SHAPES, ModelShape
from timing import synchronize

DEVICE = default_device()
CASES = {
    "qwen2.5-0.5b": (SHAPES["Qwen2.5-0.5B"], 8, 256),
    "llama-3.1-8b-quarter": (ModelShape("Llama-3.1-8B, 9 of 33 layers", 9, 4096), 8, 256),
}


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def dtype(request):
    return getattr(torch, request.param)


@pytest.fixture(scope="module", params=CASES)
def inputs(request, dtype):
    case = Case(*CASES[request.param], dtype)
    head = random_head(case.shape.num_layers, case.shape.hidden_size, DEVICE)
    layers = case.layers(DEVICE)
    return case, layers, head.requires_grad_(False), exact_scores(layers, head)


@pytest.mark.parametrize("form", [OURS, "eager", "per_layer"])
def bench_score(benchmark, inputs, form):
    case, layers, head, exact = inputs
    score = eager_forms(head, case.dtype)[form]
    check_accuracy(form, relative_error(score(layers), exact), None)
    benchmark.group = f"{case.shape.name}, {case.num_candidates} x {case.num_tokens}, {case.dtype}"
    benchmark.extra_info["bytes"] = case.num_bytes

    def run():
        score(layers)
        synchronize(DEVICE)

    benchmark(run)
