"""torch.compile with its own compiler, and with CUDA graphs."""

import pytest
import torch

from reference_gradients import head_gradients
from reference_inputs import (
    DEVICE,
    MASKS,
    cumulative_lengths,
    random_head,
    random_layers,
)
from swift_kernels import RunningScore, score_candidates, score_packed

SHAPE = (4, 3, 100, 256)
MODES = pytest.mark.parametrize("mode", ["default", "reduce-overhead"])


@pytest.fixture(autouse=True)
def fresh_graphs():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(function, mode):
    return torch.compile(function, fullgraph=True, mode=mode)


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@MODES
def test_scores(mode):
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    mask = MASKS["left_padding"](*SHAPE[1:3])

    def score(layers, mask):
        return tuple(score_candidates(layers, head, mask, return_token_scores=True))

    score_compiled = compiled(score, mode)
    for seed in range(2, 8):  # the first calls warm up, the next one captures
        layers = random_layers(SHAPE, torch.bfloat16, seed)
        expected = score(layers, mask)
        actual = tuple(value.clone() for value in score_compiled(layers, mask))
        assert_same(actual, expected)


@MODES
def test_gradients(mode):
    head = random_head(SHAPE[0], SHAPE[3])
    mask = MASKS["left_padding"](*SHAPE[1:3])
    score_compiled = compiled(lambda layers: score_candidates(layers, head, mask), mode)
    for seed in range(2, 8):
        layers = random_layers(SHAPE, torch.bfloat16, seed)
        actual = [gradient.clone() for gradient in head_gradients(score_compiled(layers), head)]
        assert_same(actual, head_gradients(score_candidates(layers, head, mask), head))


@MODES
def test_packed(mode):
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    cu_seqlens = cumulative_lengths([100, 0, 150, 50])
    score_compiled = compiled(lambda layers: score_packed(layers, head, cu_seqlens), mode)
    for seed in range(2, 8):
        layers = random_layers((SHAPE[0], 300, SHAPE[3]), torch.bfloat16, seed)
        assert_same(score_compiled(layers).clone(), score_packed(layers, head, cu_seqlens))


@MODES
def test_update(mode):
    head = random_head(4, 256)
    active = torch.ones(5, dtype=torch.bool, device=DEVICE)
    running, expected = (RunningScore(head, 5) for _ in range(2))
    update = compiled(running.update, mode)
    for seed in range(2, 8):
        step = random_layers((4, 5, 1, 256), torch.bfloat16, seed)
        update(step, active)
        expected.update(step, active)
        assert_same(running.scores(), expected.scores())
