"""`score_candidates` against the paper's eager head: float32 concatenation, then a linear layer."""

import pytest
import torch

from eager_head import EagerHead
from swift_kernels import RewardHead, score_candidates

SHAPES = {"qwen2.5-0.5b": (25, 896), "llama-3.1-8b-quarter": (9, 4096)}  # L, H
NUM_CANDIDATES, NUM_TOKENS = 8, 256


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def dtype(request):
    return getattr(torch, request.param)


@pytest.fixture(scope="module", params=SHAPES)
def case(request, dtype):
    num_layers, hidden_size = SHAPES[request.param]
    generator = torch.Generator().manual_seed(0)
    shape = (NUM_CANDIDATES, NUM_TOKENS, hidden_size)
    layers = tuple(torch.randn(shape, generator=generator).to(dtype) for _ in range(num_layers))
    head = RewardHead(num_layers, hidden_size).requires_grad_(False)
    return layers, head


@pytest.mark.parametrize("form", ["swift_kernels", "eager"])
def bench_score(benchmark, case, form):
    layers, head = case
    eager = EagerHead(head).requires_grad_(False)
    torch.testing.assert_close(score_candidates(layers, head), eager(layers), atol=1e-5, rtol=1e-4)
    benchmark.group = f"{tuple(layers[0].shape)} x {len(layers)} layers, {layers[0].dtype}"
    benchmark.extra_info["bytes"] = sum(layer.nbytes for layer in layers)
    run = {"swift_kernels": lambda: score_candidates(layers, head), "eager": lambda: eager(layers)}
    benchmark(run[form])
