"""CUDA graphs: captured once, replayed on other numbers in the same memory, with calls between."""

import pytest
import torch

from reference_inputs import (
    DEVICE,
    MASKS,
    assert_accurate,
    cumulative_lengths,
    eager_scores,
    exact_scores,
    random_head,
    random_layers,
)
from swift_kernels import RunningScore, score_candidates, score_packed

SHAPE = (4, 3, 100, 256)


def capture(function):
    """A graph of one call, and what the call gives; warmed up on a stream of its own."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = function()
    return graph, output


def refill(layers, seed):
    shape = (len(layers), *layers[0].shape)
    for layer, fresh in zip(layers, random_layers(shape, layers[0].dtype, seed), strict=True):
        layer.copy_(fresh)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_score_candidates(dtype):
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    layers, mask = random_layers(SHAPE, dtype), MASKS["left_padding"](*SHAPE[1:3])
    graph, scores = capture(lambda: score_candidates(layers, head, mask))
    for seed in range(2, 6):
        refill(layers, seed)
        mask.copy_(mask.flip(1) if seed % 2 else mask.roll(1, 0))
        graph.replay()
        inputs = (layers, head, mask)
        assert_accurate(scores, exact_scores(*inputs), eager_scores(*inputs))
        assert torch.equal(score_candidates(*inputs), scores)


def test_score_packed():
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    layers = random_layers((SHAPE[0], 300, SHAPE[3]), torch.bfloat16)
    cu_seqlens = cumulative_lengths([100, 0, 150, 50])
    graph, scores = capture(lambda: score_packed(layers, head, cu_seqlens))
    for seed, lengths in ((2, [1, 2, 3, 294]), (3, [300, 0, 0, 0]), (4, [64, 64, 64, 108])):
        refill(layers, seed)
        cu_seqlens.copy_(cumulative_lengths(lengths))
        graph.replay()
        assert torch.equal(score_packed(layers, head, cu_seqlens), scores)


def test_gradients():
    head = random_head(SHAPE[0], SHAPE[3])
    layers, mask = random_layers(SHAPE, torch.bfloat16), MASKS["holes_int64"](*SHAPE[1:3])

    def gradients():
        scores = score_candidates(layers, head, mask)
        return torch.autograd.grad(scores.square().sum(), head.parameters())

    graph, captured = capture(gradients)
    for seed in range(2, 5):
        refill(layers, seed)
        graph.replay()
        for one, other in zip(captured, gradients(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("num_candidates", [1, 5, 100])
def test_running_score(num_candidates):
    head = random_head(4, 256)
    step = random_layers((4, num_candidates, 1, 256), torch.bfloat16)
    active = torch.ones(num_candidates, dtype=torch.bool, device=DEVICE)
    captured, eager = (RunningScore(head, num_candidates) for _ in range(2))
    graph, _ = capture(lambda: captured.update(step, active))
    for tensor in (captured.sums, captured.has_tokens):
        tensor.zero_()
    for seed in range(2, 8):
        refill(step, seed)
        active.copy_(torch.arange(num_candidates, device=DEVICE) % seed > 0)
        graph.replay()
        eager.update(step, active)
        assert torch.equal(captured.scores(), eager.scores())


def test_graphs_side_by_side():
    """Two graphs at once on two streams share no counters."""
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    batches = [random_layers(SHAPE, torch.bfloat16, seed) for seed in (2, 3)]
    graphs = [capture(lambda layers=layers: score_candidates(layers, head)) for layers in batches]
    expected = [score_candidates(layers, head) for layers in batches]
    streams = [torch.cuda.Stream() for _ in graphs]
    torch.cuda.synchronize()
    for _ in range(50):
        for stream, (graph, _) in zip(streams, graphs, strict=True):
            with torch.cuda.stream(stream):
                graph.replay()
    torch.cuda.synchronize()
    for (_, scores), one in zip(graphs, expected, strict=True):
        assert torch.equal(scores, one)
