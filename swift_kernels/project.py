"""Rewards and gates of every token in PyTorch, with a gradient.

No concatenation: one layer at a time, in pieces small enough to stay in cache.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from swift_kernels.gradients import state_gradients
from swift_kernels.head import RewardHead
from swift_kernels.launch import torch_block_tokens
from swift_kernels.spans import Span, as_rows, token_spans


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
    rows, row_scored = as_rows(layers, scored)
    out = _ProjectTokens.apply(weight, row_scored, *rows)
    return out.view(len(weight), *layers[0].shape[:2])


class _ProjectTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *inputs):  # torch.compile drops ctx where as many inputs as names come
        weight, scored, *layers = inputs
        ctx.save_for_backward(*inputs)
        out = weight.new_zeros(len(weight), *layers[0].shape[:2])  # [R, N, T]
        spans, to_float = _spans(layers[0], scored), _converter(layers[0])
        with torch.autocast(weight.device.type, enabled=False):  # sums stay in float32
            for index, layer in enumerate(layers):
                for n, tokens in spans:
                    out[:, n, tokens] += weight[:, index] @ to_float(layer[n, tokens]).T
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # [R, N, T]
        weight, scored, *layers = ctx.saved_tensors
        with torch.autocast(grad.device.type, enabled=False):
            grad_weight = None
            if ctx.needs_input_grad[0]:
                grad_weight = _weight_gradient(layers, grad, scored)
            grad_layers = state_gradients(grad, weight, layers, ctx.needs_input_grad[2:])
        return grad_weight, None, *grad_layers


def _weight_gradient(layers: Sequence[Tensor], grad: Tensor, scored: Tensor | None) -> Tensor:
    """`[R, L, H]` from L tensors `[N, T, H]` and `[R, N, T]`."""
    grad_weight = grad.new_zeros(len(grad), len(layers), layers[0].shape[2])
    spans, to_float = _spans(layers[0], scored), _converter(layers[0])
    has_others = scored is not None and not _is_readable(scored)  # in the spans: 0 * NaN is NaN
    for index, layer in enumerate(layers):
        for n, tokens in spans:
            rows = to_float(layer[n, tokens])  # [block, H]
            if has_others:
                rows = torch.where(scored[n, tokens, None], rows, 0)
            grad_weight[:, index] += grad[:, n, tokens] @ rows
    return grad_weight


def _spans(layer: Tensor, scored: Tensor | None) -> list[Span]:
    num_candidates, num_tokens, hidden_size = layer.shape
    if torch.compiler.is_compiling():  # one piece a candidate, whatever the sizes
        return [(n, slice(None)) for n in range(num_candidates)]
    block = torch_block_tokens(layer.device.type, hidden_size)
    known = scored if scored is not None and _is_readable(scored) else None
    return token_spans((num_candidates, num_tokens), known, block)


def _converter(layer: Tensor) -> Callable[[Tensor], Tensor]:
    """From rows `[block, H]` to float32, good until the next call: one memory serves all pieces.

    A new one for each would be given back to the system and fetched again: on a CPU that doubles
    the time, now and then.
    """
    if layer.dtype == torch.float32 or torch.compiler.is_compiling():
        return Tensor.float
    num_candidates, num_tokens, hidden_size = layer.shape
    block = torch_block_tokens(layer.device.type, hidden_size)
    num_rows = min(block, num_candidates * num_tokens)
    memory = torch.empty(num_rows, hidden_size, dtype=torch.float32, device=layer.device)
    return lambda rows: memory[: len(rows)].copy_(rows)


def _is_readable(scored: Tensor) -> bool:
    """Whether the host may look at the mask without waiting for a GPU or breaking a graph."""
    return scored.device.type == "cpu" and not torch.compiler.is_compiling()
