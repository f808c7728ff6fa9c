"""Rows that lie more than 2^31 elements apart; where nothing is written, no memory is used."""

import pytest
import torch

from reference_gradients import assert_gradients_accurate, exact_head_gradients, head_gradients
from reference_inputs import (
    DEVICE,
    assert_accurate,
    cumulative_lengths,
    each_candidate,
    eager_scores,
    exact_scores,
    random_head,
    random_layers,
)
from swift_kernels import RunningScore, score_candidates, score_packed

FAR = 2**30 + 64  # of an offset of two, 32 bits hold another number


@pytest.fixture(scope="module")
def memory():
    return torch.empty(2 * FAR + 256, dtype=torch.float16, device=DEVICE)


@pytest.fixture
def head():
    return random_head(1, 24)


def far(memory, shape, strides):
    """A random layer of that shape and these strides, and one that is contiguous."""
    (layer,) = random_layers((1, *shape), torch.float16)
    return memory.as_strided(shape, strides).copy_(layer), layer


STRIDES = {"tokens": (32, FAR, 1), "candidates": (FAR, 32, 1)}


@pytest.mark.parametrize("strides", STRIDES)
def test_scores_and_gradients(strides, memory, head):
    layer, same = far(memory, (3, 3, 24), STRIDES[strides])
    scores = score_candidates([layer], head, backend="triton")
    limits = (exact_scores([same], head), eager_scores([same], head))
    assert_accurate(scores.detach(), *(limit.detach() for limit in limits))
    actual = head_gradients(scores, head)
    exact = exact_head_gradients(head, lambda double: exact_scores([same], double))
    assert_gradients_accurate(actual, exact, head_gradients(limits[1], head))


def test_packed(memory, head):
    layer, same = far(memory, (3, 24), (FAR, 1))
    cu_seqlens = cumulative_lengths([1, 2])
    head.requires_grad_(False)
    actual = score_packed([layer], head, cu_seqlens, backend="triton")
    limits = (each_candidate(f, [same], head, cu_seqlens) for f in (exact_scores, eager_scores))
    assert_accurate(actual, *limits)


def test_step(memory, head):
    layer, same = far(memory, (3, 1, 24), (FAR, FAR, 1))
    score = RunningScore(head.requires_grad_(False), 3, backend="triton")
    score.update([layer], torch.ones(3, dtype=torch.bool, device=DEVICE))
    assert_accurate(score.scores(), exact_scores([same], head), eager_scores([same], head))
