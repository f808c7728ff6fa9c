"""The head in plain PyTorch: the peers of every benchmark.

`EagerHead` is the form of the paper's code. `PerLayerHead` never concatenates, which is the best
that eager PyTorch does; compiled, it is the strongest peer.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from swift_kernels import RewardHead


class EagerHead(torch.nn.Module):
    """The form of the paper's code: all layers side by side in float32, one Linear."""

    def __init__(self, head: RewardHead):
        super().__init__()
        weight = head.stacked_weight().detach()
        self.linear = torch.nn.Linear(weight[0].numel(), 2, device=weight.device)
        with torch.no_grad():
            self.linear.weight.copy_(weight.flatten(1))
            self.linear.bias.copy_(torch.stack([head.reward_bias, head.gate_bias]))

    def forward(self, hidden_states: Sequence[Tensor], attention_mask: Tensor | None = None):
        concatenated = torch.cat([layer.float() for layer in hidden_states], dim=-1)
        rewards, gates = self.linear(concatenated).unbind(-1)  # [N, T]
        return average(rewards, gates.sigmoid(), attention_mask)


def float_matmul(layer: Tensor, weight: Tensor) -> Tensor:
    """A float32 copy of one layer, then a matrix product. Exact to float32; any device."""
    return layer.float() @ weight.T  # [N, T, R]


def float_sum(layer: Tensor, weight: Tensor) -> Tensor:
    """Products and sums in float32: what inductor fuses into one read. Slow when not compiled."""
    floats = layer.float()
    return torch.stack([(floats * row).sum(-1) for row in weight], dim=-1)  # [N, T, R]


def split_matmul(layer: Tensor, parts: Tensor) -> Tensor:
    """A matrix product in the layer's own dtype, with float32 sums: no copy of the layer.

    Needs the `out_dtype` of `torch.mm`, which exists for CUDA only, and has no gradient here.

    Args:
        parts: `[2 * R, H]`, of `split_weight`.
    """
    products = torch.mm(layer.flatten(0, 1), parts.T, out_dtype=torch.float32)  # [N*T, 2 * R]
    return products.view(*layer.shape[:2], 2, -1).sum(2)  # [N, T, R]


def split_weight(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """`[L, R, H]` float32 as a high and a low part of that dtype, `[L, 2 * R, H]`.

    The error of their sum is about 2^-17 in bfloat16, not 2^-9.
    """
    high = weight.to(dtype)
    low = (weight - high).to(dtype)
    return torch.cat([high, low], dim=1)


class PerLayerHead(torch.nn.Module):
    """One layer at a time, sums of the dot products in float32.

    Args:
        head: gated.
        project: `(layer [N, T, H], weight [R, H]) -> [N, T, R]`, in float32.
    """

    def __init__(
        self, head: RewardHead, project: Callable[[Tensor, Tensor], Tensor] = float_matmul
    ):
        super().__init__()
        self.project = project
        self.weight = torch.nn.Parameter(  # [L, R, H]
            head.stacked_weight().detach().transpose(0, 1).contiguous()
        )
        self.bias = torch.nn.Parameter(torch.stack([head.reward_bias, head.gate_bias]).detach())

    def forward(self, hidden_states: Sequence[Tensor], attention_mask: Tensor | None = None):
        projected = self.bias
        for layer, weight in zip(hidden_states, self.weight.unbind(0), strict=True):
            projected = projected + self.project(layer, weight)  # [N, T, R]
        rewards, gates = projected.unbind(-1)
        return average(rewards, gates.sigmoid(), attention_mask)


class SplitHead(PerLayerHead):
    """As `PerLayerHead`, for states of a 16-bit dtype, which are never converted."""

    def __init__(self, head: RewardHead, dtype: torch.dtype):
        super().__init__(head, split_matmul)
        self.weight = torch.nn.Parameter(split_weight(self.weight.detach(), dtype))


def average(rewards: Tensor, gates: Tensor, attention_mask: Tensor | None) -> Tensor:
    """The gate-weighted average of the scored tokens, `[N]`, as the paper's code multiplies it."""
    if attention_mask is not None:
        gates = gates * attention_mask
    return (gates * rewards).sum(-1) / gates.sum(-1).clamp(min=1e-8)


def compiled_per_layer(
    head: RewardHead,
    project: Callable[[Tensor, Tensor], Tensor] = float_sum,
    *,
    dynamic: bool | None = None,
) -> Callable[..., Tensor]:
    """`PerLayerHead` under `torch.compile`, all layers in one graph; it compiles when called.

    Which projection compiles best depends on the device: `float_sum` fuses conversion, product
    and sum; `float_matmul` leaves the product to the library. Time both, count the better.
    """
    module = PerLayerHead(head, project).requires_grad_(False)
    return torch.compile(module, dynamic=dynamic, fullgraph=True)
