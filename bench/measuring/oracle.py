"""Random inputs of a benchmark, and the float64 answer that every form must give before its time
counts."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from swift_kernels import RewardHead, reference

PEER_TOLERANCE = 2e-5  # of a peer: a wrong formula is off by 1e-2
EAGER_TOLERANCE = 5e-5  # one float32 sum of L * H products, of 3 tokens or more
SLACK = 16 * torch.finfo(torch.float32).eps  # where eager is exact by luck


class ModelShape(NamedTuple):
    name: str
    num_layers: int  # L: blocks + 1, the embedding output counts
    hidden_size: int  # H


SHAPES = {
    shape.name: shape
    for shape in (
        ModelShape("Llama-3.2-3B", 29, 3072),
        ModelShape("Llama-3.1-8B", 33, 4096),
        ModelShape("Ministral-8B", 37, 4096),
        ModelShape("Qwen2.5-0.5B", 25, 896),
    )
}


class WrongAnswer(Exception):
    """A form does not compute the score; its time would mean nothing."""


def random_layers(
    num_layers: int,
    shape: tuple[int, int, int],  # N, T, H
    dtype: torch.dtype,
    device: torch.device,
    seed: int = 0,
) -> list[Tensor]:
    """L tensors `[N, T, H]`, normal, made on the device."""
    generator = torch.Generator(device).manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, device=device, dtype=dtype)
        for _ in range(num_layers)
    ]


def random_head(num_layers: int, hidden_size: int, device: torch.device) -> RewardHead:
    torch.manual_seed(0)
    return RewardHead(num_layers, hidden_size).to(device)


def left_padding(num_candidates: int, num_tokens: int, device: torch.device) -> Tensor:
    """`[N, T]` bool, half of it False: candidate n is padded by T * (2n + 1) / 2N tokens."""
    position = torch.arange(num_tokens, device=device)
    row = torch.arange(num_candidates, device=device)[:, None]
    return position >= num_tokens * (2 * row + 1) // (2 * num_candidates)


def exact_projection(layers: Sequence[Tensor], head: RewardHead) -> Tensor:
    """float64 `[N, T, 2]`: reward and gate logit of every token, one layer in memory at a time."""
    weight = head.stacked_weight().detach().double()  # [2, L, H]
    projected = torch.stack([head.reward_bias, head.gate_bias]).detach().double()
    for index, layer in enumerate(layers):
        projected = projected + layer.double() @ weight[:, index].T
    return projected


def exact_scores(
    layers: Sequence[Tensor], head: RewardHead, attention_mask: Tensor | None = None
) -> Tensor:
    """float64 `[N]`."""
    return scores_of_projection(exact_projection(layers, head), attention_mask)


def scores_of_projection(projected: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """`[N]` from `[N, T, 2]`, in its precision."""
    rewards, gates = projected.unbind(-1)
    return reference.average_tokens(rewards, gates.sigmoid(), attention_mask)


def relative_error(actual: Tensor, exact: Tensor, least_scale: float = 1.0) -> float:
    """The largest error over the largest value, or over `least_scale` where that is larger.

    The rewards of these inputs are about 1, which is the least scale of a score. Infinite where
    one of the two is not finite and the other is.
    """
    is_number = exact.isfinite()
    if actual.shape != exact.shape or not torch.equal(actual.isfinite(), is_number):
        return float("inf")
    if not is_number.any():
        return 0.0
    exact = exact[is_number]
    scale = max(least_scale, exact.abs().max().item())
    return (actual[is_number].double() - exact).abs().max().item() / scale


def check_accuracy(name: str, error: float, eager_error: float | None) -> None:
    """Ours is held to twice the error of eager in the same run, where that fits into memory.

    Raises:
        WrongAnswer: naming both errors.
    """
    limit = EAGER_TOLERANCE if name == "eager" else PEER_TOLERANCE
    if eager_error is not None:
        limit = 2 * eager_error + SLACK
    if not error <= limit:
        raise WrongAnswer(f"{name}: error {error:.2e} against float64, expected <= {limit:.2e}")
