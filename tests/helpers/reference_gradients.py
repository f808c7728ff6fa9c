"""Gradients of a loss in which every candidate has another weight: none can stand for another."""

import torch
from torch import Tensor

from reference_inputs import DEVICE, assert_accurate
from swift_kernels import RewardHead


def weighted_loss(scores: Tensor) -> Tensor:
    weights = 1 - 1.5 * (torch.arange(len(scores), device=scores.device) % 3)
    return (torch.where(scores.isfinite(), scores, 0) * weights).sum()


def head_gradients(scores: Tensor, head: RewardHead) -> list[Tensor]:
    """Of each parameter, in their order."""
    weighted_loss(scores).backward()
    gradients = [parameter.grad for parameter in head.parameters()]
    head.zero_grad()
    return gradients


def exact_head_gradients(head: RewardHead, score_exactly) -> list[Tensor]:
    """In float64, of the scores that `score_exactly` gives for a head in float64."""
    double = RewardHead(**head.config()).to(DEVICE, torch.float64)
    double.load_state_dict(head.state_dict())
    return head_gradients(score_exactly(double), double)


def state_gradients(layers, score) -> list[Tensor]:
    """Of each layer, for the scores that `score` gives for them."""
    leaves = [layer.clone().requires_grad_() for layer in layers]
    weighted_loss(score(leaves)).backward()
    return [leaf.grad for leaf in leaves]


def assert_gradients_accurate(actual, exact, eager) -> None:
    for one, exact_one, eager_one in zip(actual, exact, eager, strict=True):
        assert_accurate(one.flatten(), exact_one.double().flatten(), eager_one.flatten())
