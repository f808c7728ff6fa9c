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
    projected = project_tokens(layers, head.stacked_weight(), scored)  # [R, N, T]
    if scored is not None:  # before the sigmoid: its gradient at NaN is NaN, even times 0
        projected = torch.where(scored, projected, 0)
    rewards = projected[0] + head.reward_bias
    if not head.gated:
        return rewards, torch.ones_like(rewards)
    return rewards, torch.sigmoid(projected[1] + head.gate_bias)


def project_tokens(
    layers: Sequence[Tensor], weight: Tensor, scored: Tensor | None = None
) -> Tensor:
    """Sum over the layers of `<h, weight>`.

    Args:
        layers: L tensors `[N, T, H]`, float32, float16 or bfloat16, any strides.
        weight: float32 `[R, L, H]`; R is 2 with a gate, 1 without.
        scored: bool `[N, T]`; the values of other tokens may be anything, and their gradient is 0.

    Returns:
        float32 `[R, N, T]`, differentiable with respect to layers and weight.
    """
    return _ProjectTokens.apply(weight, scored, _tokens_to_read(scored), *layers)


def _tokens_to_read(scored: Tensor | None) -> Tensor | None:
    """Indices into the N*T tokens where some need not be read; None reads all.

    Only where to count them makes nobody wait: not on a GPU, and not in a graph.
    """
    if scored is None or scored.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    return None if scored.all() else scored.flatten().nonzero()[:, 0]


class _ProjectTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *inputs):  # torch.compile drops ctx where as many inputs as names come
        weight, scored, indices, *layers = inputs
        ctx.save_for_backward(weight, scored, indices, *layers)
        num_tokens = layers[0].shape[0] * layers[0].shape[1]
        num_read = num_tokens if indices is None else len(indices)
        out = weight.new_zeros(len(weight), num_read)
        with torch.autocast(weight.device.type, enabled=False):  # sums stay in float32
            for index, layer in enumerate(layers):
                for tokens, rows in _float_blocks(layer, indices):
                    out[:, tokens] += weight[:, index] @ rows.T  # [R, H] @ [H, block]
        if indices is not None:
            out = weight.new_zeros(len(weight), num_tokens).index_copy_(1, indices, out)
        return out.view(len(weight), *layers[0].shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # [R, N, T]
        weight, scored, indices, *layers = ctx.saved_tensors
        with torch.autocast(grad.device.type, enabled=False):
            grad_weight = None
            if ctx.needs_input_grad[0]:
                grad_weight = _weight_gradient(layers, grad, scored, indices)
            grad_layers = state_gradients(grad, weight, layers, ctx.needs_input_grad[3:])
        return grad_weight, None, None, *grad_layers


def _weight_gradient(layers, grad: Tensor, scored: Tensor | None, indices: Tensor | None) -> Tensor:
    """`[R, L, H]` from L tensors `[N, T, H]` and `[R, N, T]`."""
    flat_grad = grad.flatten(1)  # [R, N*T]
    if indices is not None:
        flat_grad = flat_grad[:, indices]
    grad_weight = grad.new_zeros(len(grad), len(layers), layers[0].shape[2])
    for index, layer in enumerate(layers):
        for tokens, rows in _float_blocks(layer, indices):
            if scored is not None and indices is None:  # 0 * NaN is NaN
                rows = torch.where(scored.flatten()[tokens, None], rows, 0)
            grad_weight[:, index] += flat_grad[:, tokens] @ rows
    return grad_weight


def _float_blocks(layer: Tensor, indices: Tensor | None):
    """Slices of the tokens that are read, and their states as float32 `[block, H]`."""
    rows = layer.flatten(0, 1)  # a view for every layout that has one
    num_tokens = len(rows) if indices is None else len(indices)
    block = torch_block_tokens(layer.device.type, layer.shape[-1])
    for start in range(0, num_tokens, block):
        tokens = slice(start, min(start + block, num_tokens))
        yield tokens, rows[tokens if indices is None else indices[tokens]].float()
