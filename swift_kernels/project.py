"""Rewards and gates of every token in PyTorch, with a gradient.

No concatenation: one layer at a time, in blocks of tokens small enough to stay in cache.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from swift_kernels.gradients import state_gradients
from swift_kernels.head import RewardHead
from swift_kernels.launch import torch_block_tokens


def token_values(
    layers: Sequence[Tensor], head: RewardHead, scored: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Rewards and gates of L tensors `[N, T, H]`, `[N, T]` each; of any value where not scored."""
    projected = project_tokens(layers, head.stacked_weight())  # [R, N, T]
    if scored is not None:  # before the sigmoid: its gradient at NaN is NaN, even times 0
        projected = torch.where(scored, projected, 0)
    rewards = projected[0] + head.reward_bias
    if not head.gated:
        return rewards, torch.ones_like(rewards)
    return rewards, torch.sigmoid(projected[1] + head.gate_bias)


def project_tokens(layers: Sequence[Tensor], weight: Tensor) -> Tensor:
    """Sum over the layers of `<h, weight>`.

    Args:
        layers: L tensors `[N, T, H]`, float32, float16 or bfloat16, any strides.
        weight: float32 `[R, L, H]`; R is 2 with a gate, 1 without.

    Returns:
        float32 `[R, N, T]`, differentiable with respect to both.
    """
    return _ProjectTokens.apply(weight, *layers)


class _ProjectTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, *layers):
        ctx.save_for_backward(weight, *layers)
        out = weight.new_zeros(len(weight), layers[0].shape[0] * layers[0].shape[1])  # [R, N*T]
        with torch.autocast(weight.device.type, enabled=False):  # sums stay in float32
            for index, layer in enumerate(layers):
                for tokens, rows in _float_blocks(layer):
                    out[:, tokens] += weight[:, index] @ rows.T  # [R, H] @ [H, block]
        return out.view(len(weight), *layers[0].shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # [R, N, T]
        with torch.autocast(grad.device.type, enabled=False):
            return _gradients(ctx, grad)


def _gradients(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
    weight, *layers = ctx.saved_tensors
    flat_grad = grad.flatten(1)  # [R, N*T]
    has_grad = (flat_grad != 0).any(0)  # [N*T]; masked tokens have none, and may hold NaN
    grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[0] else None
    if grad_weight is not None:
        for index, layer in enumerate(layers):
            for tokens, rows in _float_blocks(layer):
                rows = torch.where(has_grad[tokens, None], rows, 0)
                grad_weight[:, index] += flat_grad[:, tokens] @ rows
    return grad_weight, *state_gradients(grad, weight, layers, ctx.needs_input_grad[1:])


def _float_blocks(layer: Tensor):
    """Slices of the N*T tokens, and their states as float32 `[block, H]`."""
    rows = layer.flatten(0, 1)  # a view for every layout that has one
    block = torch_block_tokens(layer.device.type, layer.shape[-1])
    for start in range(0, len(rows), block):
        tokens = slice(start, min(start + block, len(rows)))
        yield tokens, rows[tokens].float()
