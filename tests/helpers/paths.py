"""Each way from states to numbers, as a function of backend, dtype and what it scores."""

import torch
from torch import Tensor

from reference_gradients import weighted_loss
from reference_inputs import (
    DEVICE,
    MASKS,
    cumulative_lengths,
    fill_padding,
    random_head,
    random_layers,
)
from swift_kernels import RunningScore, score_candidates, score_packed

SHAPE = (2, 2, 70, 130)  # L, N, T, H: two tiles of a candidate, three steps of a layer


def padded(backend: str, dtype: torch.dtype) -> list[Tensor]:
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    mask = MASKS["left_padding"](*SHAPE[1:3])
    layers = fill_padding(random_layers(SHAPE, dtype), mask)
    values = score_candidates(layers, head, mask, backend=backend, return_token_scores=True)
    return [*values]


def packed(backend: str, dtype: torch.dtype) -> list[Tensor]:
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    layers = [layer.flatten(0, 1) for layer in random_layers(SHAPE, dtype)]
    cu_seqlens = cumulative_lengths([7, 0, 100, 33])
    values = score_packed(layers, head, cu_seqlens, backend=backend, return_token_scores=True)
    return [*values]


def steps(backend: str, dtype: torch.dtype) -> list[Tensor]:
    head = random_head(SHAPE[0], SHAPE[3])
    layers = random_layers((SHAPE[0], 70, 2, SHAPE[3]), dtype)  # two tiles of candidates
    score = RunningScore(head, 70, backend=backend)
    active = torch.arange(70, device=DEVICE) % 3 > 0
    for token in range(2):
        score.update([layer[:, token : token + 1] for layer in layers], active)
    return [score.weighted_sum, score.gate_sum, score.scores()]


def backward(backend: str, dtype: torch.dtype) -> list[Tensor]:
    head = random_head(SHAPE[0], SHAPE[3])
    mask = MASKS["holes_int64"](*SHAPE[1:3])
    layers = fill_padding(random_layers(SHAPE, dtype), mask)
    layers = [layer.requires_grad_() for layer in layers]
    weighted_loss(score_candidates(layers, head, mask, backend=backend)).backward()
    return [tensor.grad for tensor in (*head.parameters(), *layers)]


PATHS = (padded, packed, steps, backward)


def assert_same_bits(actual: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one.isnan(), other.isnan())
        assert torch.equal(one.nan_to_num(), other.nan_to_num())
