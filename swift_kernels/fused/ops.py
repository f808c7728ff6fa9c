"""The kernels as PyTorch operators: gradients, `torch.compile` and `torch.export` see through them.

A call that needs none of these goes straight to the launch, which is several times cheaper.

An operator keeps no memory between calls: `torch.compile` with CUDA graphs runs it once in a pool
of memory that is its own, and finds what was left there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from swift_kernels.fused.gradient import launch_gradient
from swift_kernels.fused.score import launch_score
from swift_kernels.fused.step import launch_step
from swift_kernels.gradients import state_gradients, token_gradients
from swift_kernels.masks import as_bool
from swift_kernels.weights import HeadWeights


class KernelScores(NamedTuple):
    """What the kernel gives. Tokens that are not scored have 0; behind a pack stands anything."""

    scores: Tensor  # [N]
    gate_sums: Tensor  # [N]
    rewards: Tensor  # [N, T], packed: [1, total_tokens]
    gates: Tensor  # the same


def fused_score(
    layers: Sequence[Tensor],
    head: HeadWeights,
    scored: Tensor | None,
    cu_seqlens: Tensor | None = None,
) -> KernelScores:
    """Scores from the fused kernel on checked inputs; differentiable where a gradient is asked for.

    Args:
        layers: L tensors `[N, T, H]`; packed: `[1, total_tokens, H]`.
        scored: bool or integer `[N, T]`; packed: `[1, total_tokens]`. None: all.
        cu_seqlens: int32 or int64 `[N + 1]` if packed.
    """
    weights = head.kernel_weights()
    needs_grad = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (*weights, *layers)
    )
    if needs_grad or torch.compiler.is_compiling():
        return KernelScores(*score_op(list(layers), *weights, scored, cu_seqlens))
    return KernelScores(*launch_score(layers, *weights, scored, cu_seqlens))


def fused_step(
    layers: Sequence[Tensor],
    head: HeadWeights,
    active: Tensor,
    sums: Tensor,
    has_tokens: Tensor,
    scratch: tuple[Tensor, Tensor],
) -> None:
    """`launch_step` on checked inputs: add one token of each active candidate to the sums."""
    run = step_op if torch.compiler.is_compiling() else launch_step
    run(list(layers), *head.kernel_weights(), active, sums, has_tokens, *scratch)


@torch.library.custom_op("swift_kernels::score", mutates_args=())
def score_op(
    layers: Sequence[Tensor],
    reward_weight: Tensor,
    reward_bias: Tensor,
    gate_weight: Tensor | None,
    gate_bias: Tensor | None,
    scored: Tensor | None,
    cu_seqlens: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`launch_score`: scores and gate sums `[N]`, rewards and gates `[N, T]`."""
    return launch_score(
        layers,
        reward_weight,
        reward_bias,
        gate_weight,
        gate_bias,
        scored,
        cu_seqlens,
        is_workspace_shared=False,
    )


@score_op.register_fake
def _(layers, reward_weight, reward_bias, gate_weight, gate_bias, scored, cu_seqlens):
    num_rows, num_tokens, _ = layers[0].shape
    num_candidates = num_rows if cu_seqlens is None else cu_seqlens.shape[0] - 1
    shapes = 2 * [(num_candidates,)] + 2 * [(num_rows, num_tokens)]
    return tuple(reward_weight.new_empty(shape) for shape in shapes)


def _keep_for_backward(ctx, inputs, output) -> None:
    layers, reward_weight, _, gate_weight, _, scored, cu_seqlens = inputs
    scores, *others = output
    scores = scores.clone()  # its owner may change it in place, as -inf invites to
    scored = as_bool(scored)  # a copy where it is of integers, whose owner may change them too
    ctx.save_for_backward(scores, *others, reward_weight, gate_weight, scored, cu_seqlens, *layers)


def _score_backward(ctx, grad_scores, _, grad_rewards, grad_gates):
    if torch.is_grad_enabled():  # create_graph=True: what follows would give a wrong number
        raise RuntimeError(
            "scores cannot be differentiated twice; swift_kernels.reference.score can, in float64"
        )
    saved = ctx.saved_tensors  # once: what checkpointing saves is unpacked when it is asked for
    scores, gate_sums, rewards, gates, weight, gate_weight, scored, cu_seqlens, *layers = saved
    gated = gate_weight is not None
    grads = (grad_scores, grad_rewards, grad_gates)
    values = (scores, gate_sums, rewards, gates)
    token_grads = token_gradients(*grads, *values, scored, cu_seqlens, gated)
    layers_need_grad, *weights_need_grad = ctx.needs_input_grad[:5]
    grad_layers: list[Tensor | None] = [None] * len(layers)
    if any(layers_need_grad):
        stacked = torch.stack([weight, gate_weight] if gated else [weight])
        grad_layers = state_gradients(token_grads, stacked, layers, layers_need_grad)
    weight_needs_grad, _, gate_weight_needs_grad, _ = weights_need_grad
    grad_weight = (None, None)
    if weight_needs_grad or gate_weight_needs_grad:
        grad_weight = weight_gradient_op(layers, token_grads)  # [R, L, H]
    grad_bias = token_grads.sum((1, 2))  # [R]
    gate_grads = (grad_weight[1], grad_bias[1]) if gated else (None, None)
    return grad_layers, grad_weight[0], grad_bias[0], *gate_grads, None, None


score_op.register_autograd(_score_backward, setup_context=_keep_for_backward)


@torch.library.custom_op("swift_kernels::weight_gradient", mutates_args=())
def weight_gradient_op(layers: Sequence[Tensor], token_grads: Tensor) -> Tensor:
    """`launch_gradient`: `[R, L, H]` from L tensors `[N, T, H]` and `[R, N, T]`."""
    return launch_gradient(layers, token_grads.contiguous())


@weight_gradient_op.register_fake
def _(layers, token_grads):
    return token_grads.new_empty(token_grads.shape[0], len(layers), layers[0].shape[2])


step_op = torch.library.custom_op(
    "swift_kernels::step", launch_step, mutates_args=("sums", "has_tokens", "partial", "arrivals")
)
