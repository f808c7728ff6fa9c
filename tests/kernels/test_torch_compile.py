"""torch.compile takes the whole of each function as one graph, and changes nothing."""

import pytest
import torch

from reference_gradients import head_gradients, state_gradients
from reference_inputs import (
    BACKENDS,
    DEVICE,
    MASKS,
    cumulative_lengths,
    random_head,
    random_layers,
)
from swift_kernels import RunningScore, score_candidates, score_packed


@pytest.fixture(autouse=True)
def fresh_graphs():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(function):
    return torch.compile(function, fullgraph=True, backend="aot_eager")


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mask", ["all", "left_padding_int64"])
@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_scores(gated, mask, backend):
    head, layers = random_head(2, 24, gated=gated), random_layers((2, 3, 7, 24))
    mask = MASKS[mask](3, 7)

    def score(layers, mask):
        return score_candidates(layers, head, mask, backend=backend)

    with torch.no_grad():
        assert_same(compiled(score)(layers, mask), score(layers, mask))
    actual = head_gradients(compiled(score)(layers, mask), head)
    assert_same(actual, head_gradients(score(layers, mask), head))


@pytest.mark.parametrize("backend", BACKENDS)
def test_token_scores(backend):
    head, layers = random_head(2, 24), random_layers((2, 3, 7, 24))
    mask = MASKS["left_padding"](3, 7)

    def score(layers, mask):
        values = score_candidates(layers, head, mask, backend=backend, return_token_scores=True)
        return tuple(values)

    def gradients(values):
        scores, rewards, gates = values
        loss = scores + torch.where(mask, rewards * gates, 0).sum(1)
        return head_gradients(loss, head)

    with torch.no_grad():
        assert_same(compiled(score)(layers, mask), score(layers, mask))
    assert_same(gradients(compiled(score)(layers, mask)), gradients(score(layers, mask)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_the_states(backend):
    head, layers = random_head(2, 24), random_layers((2, 3, 7, 24), torch.bfloat16)

    def score(layers):
        return score_candidates(layers, head, backend=backend)

    assert_same(state_gradients(layers, compiled(score)), state_gradients(layers, score))


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "all"])
def test_packed(masked):
    head, layers = random_head(2, 24), random_layers((2, 20, 24))
    cu_seqlens = cumulative_lengths([3, 0, 17])
    mask = torch.arange(20, device=DEVICE) % 3 > 0 if masked else None

    def score(layers, cu_seqlens, mask):
        return score_packed(layers, head, cu_seqlens, mask, backend="triton")

    inputs = (layers, cu_seqlens, mask)
    with torch.no_grad():
        assert_same(compiled(score)(*inputs), score(*inputs))
    actual = head_gradients(compiled(score)(*inputs), head)
    assert_same(actual, head_gradients(score(*inputs), head))


@pytest.mark.parametrize("backend", BACKENDS)
def test_update(backend):
    head, layers = random_head(2, 24), random_layers((2, 3, 4, 24))
    mask = MASKS["left_padding"](3, 4)
    scores = []
    for wrap in (compiled, lambda function: function):
        running = RunningScore(head, 3, backend=backend)
        update = wrap(running.update)
        for token in range(4):
            update([layer[:, token : token + 1] for layer in layers], mask[:, token])
        scores.append(running.scores())
    assert_same(*scores)


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_length_needs_no_other_graph_break(backend):
    head = random_head(2, 24).requires_grad_(False)
    score = compiled(lambda layers: score_candidates(layers, head, backend=backend))
    for num_tokens in (5, 9, 17):
        layers = random_layers((2, 3, num_tokens, 24))
        assert_same(score(layers), score_candidates(layers, head, backend=backend))
