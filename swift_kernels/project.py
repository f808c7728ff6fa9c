"""Rewards and gates of every token in PyTorch, with a gradient.

No concatenation: one layer at a time, in pieces small enough to stay in cache.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from swift_kernels.gradients import state_gradients
from swift_kernels.launch import torch_block_tokens
from swift_kernels.reference import rewards_and_gates
from swift_kernels.weights import HeadWeights

SHORT_RUN = 8  # tokens; shorter ones on average are gathered, which copies them
Span = tuple[int | Tensor, slice | Tensor]  # indices into N and T of one piece


def token_values(
    layers: Sequence[Tensor], head: HeadWeights, scored: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Rewards and gates of L tensors `[N, T, H]`, `[N, T]` each; of any value where not scored."""
    projected = project_tokens(layers, head.stacked_weight(), scored)  # [R, N, T]
    if scored is not None:  # before the sigmoid: its gradient at NaN is NaN, even times 0
        projected = torch.where(scored, projected, 0)
    return rewards_and_gates(projected, head.biases)


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
    # where the spans hold other tokens too, of which 0 * NaN would be NaN
    selection = None if scored is None or _is_readable(scored) else scored
    for index, layer in enumerate(layers):
        for n, tokens in spans:
            rows = to_float(layer[n, tokens])  # [block, H]
            if selection is not None:
                rows = torch.where(selection[n, tokens, None], rows, 0)
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


def as_rows(
    layers: Sequence[Tensor], scored: Tensor | None
) -> tuple[Sequence[Tensor], Tensor | None]:
    """One row of N*T tokens, `[1, N*T, H]`, where that is a view: fewer and longer pieces."""
    num_candidates, num_tokens, _ = layers[0].shape
    if num_candidates > 1 and num_tokens > 1:
        for layer in layers:
            if layer.stride(0) != num_tokens * layer.stride(1):
                return layers, scored
    rows = [layer.flatten(0, 1)[None] for layer in layers]
    return rows, None if scored is None else scored.flatten()[None]


def token_spans(shape: Sequence[int], scored: Tensor | None, block: int) -> list[Span]:
    """Pieces of at most `block` tokens that together hold every scored one.

    Args:
        shape: N, T.
        scored: bool `[N, T]` on the CPU; the pieces hold no other token. None: all.
    """
    num_candidates, num_tokens = shape
    if scored is None:
        runs = [(n, 0, num_tokens) for n in range(num_candidates)]
    else:
        runs = _runs(scored)
        if sum(stop - start for _, start, stop in runs) < SHORT_RUN * len(runs):
            candidates, tokens = (index.split(block) for index in scored.nonzero(as_tuple=True))
            return list(zip(candidates, tokens, strict=True))
    return [
        (n, slice(begin, min(begin + block, stop)))
        for n, start, stop in runs
        for begin in range(start, stop, block)
    ]


def _runs(scored: Tensor) -> list[tuple[int, int, int]]:
    """Candidate, first token and end of each run of scored tokens."""
    edges = torch.nn.functional.pad(scored.to(torch.int8), (1, 1)).diff(dim=1)  # [N, T + 1]
    starts, stops = ((edges == sign).nonzero().tolist() for sign in (1, -1))
    return [(n, start, stop) for (n, start), (_, stop) in zip(starts, stops, strict=True)]
