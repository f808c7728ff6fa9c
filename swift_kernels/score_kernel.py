"""Triton kernel: scores of a padded batch in one pass over the hidden states of all layers."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from swift_kernels.addresses import address_table
from swift_kernels.head import RewardHead
from swift_kernels.launch import score_launch
from swift_kernels.reference import divide_sums

TRITON_DTYPES = {
    torch.float32: tl.float32,
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
}


@triton.jit
def score_kernel(
    table_ptr,  # [L, 3] int64: address of each layer's [N, T, H], its strides of N and T
    reward_weight_ptr,  # [L, H] float32
    gate_weight_ptr,  # [L, H] float32, unused without a gate
    reward_bias_ptr,  # [] float32
    gate_bias_ptr,  # [] float32, unused without a gate
    scored_ptr,  # [N, T] bool, unused without a mask
    weighted_sum_ptr,  # [N, num_blocks]  out: partial sums of gate * reward
    gate_sum_ptr,  # [N, num_blocks]  out: partial sums of the gate
    reward_ptr,  # [N, T]  out, unused without token values
    gate_ptr,  # [N, T]  out, unused without token values
    num_layers,
    num_tokens,
    num_blocks,
    stride_scored_n,
    stride_scored_t,
    HIDDEN_SIZE: tl.constexpr,
    DTYPE: tl.constexpr,
    GATED: tl.constexpr,
    MASKED: tl.constexpr,
    TOKEN_VALUES: tl.constexpr,
    ALIGNED: tl.constexpr,  # rows start on 16-byte boundaries
    BLOCK_T: tl.constexpr,
    BLOCK_H: tl.constexpr,
):
    """One program: BLOCK_T tokens of one candidate, all layers; each state is read once."""
    candidate = tl.program_id(0).to(tl.int64)  # axis 0 alone takes more than 65535 programs
    block = tl.program_id(1)
    token = block * BLOCK_T + tl.arange(0, BLOCK_T)  # [BLOCK_T]
    keep = token < num_tokens  # [BLOCK_T]
    if MASKED:
        scored_at = scored_ptr + candidate * stride_scored_n + token * stride_scored_t
        keep &= tl.load(scored_at, mask=keep, other=0) != 0
    reward_acc = tl.zeros((BLOCK_T, BLOCK_H), dtype=tl.float32)
    gate_acc = tl.zeros((BLOCK_T, BLOCK_H), dtype=tl.float32)
    # A tile without a scored token reads no layer: padding costs nothing.
    num_read = tl.where(tl.max(keep.to(tl.int32), axis=0) > 0, num_layers, 0)
    for layer in range(num_read):
        address = tl.load(table_ptr + layer * 3)
        stride_n = tl.load(table_ptr + layer * 3 + 1)
        stride_t = tl.load(table_ptr + layer * 3 + 2)
        hidden_ptr = address.to(tl.pointer_type(DTYPE))
        if ALIGNED:  # said of the pointer: the compiler forgets it of the integer
            hidden_ptr = tl.multiple_of(hidden_ptr, 16)
            stride_n = tl.multiple_of(stride_n, 128 // DTYPE.primitive_bitwidth)
            stride_t = tl.multiple_of(stride_t, 128 // DTYPE.primitive_bitwidth)
        hidden_ptr += candidate * stride_n
        for start in range(0, HIDDEN_SIZE, BLOCK_H):
            column = start + tl.arange(0, BLOCK_H)  # [BLOCK_H]
            inside = column < HIDDEN_SIZE
            h = tl.load(
                hidden_ptr + token[:, None] * stride_t + column[None, :],
                mask=keep[:, None] & inside[None, :],
                other=0.0,
            ).to(tl.float32)  # [BLOCK_T, BLOCK_H]
            weight_at = layer * HIDDEN_SIZE + column
            reward_weight = tl.load(reward_weight_ptr + weight_at, mask=inside, other=0.0)
            reward_acc += h * reward_weight[None, :]
            if GATED:
                gate_weight = tl.load(gate_weight_ptr + weight_at, mask=inside, other=0.0)
                gate_acc += h * gate_weight[None, :]

    reward = tl.sum(reward_acc, axis=1) + tl.load(reward_bias_ptr)  # [BLOCK_T]
    if GATED:
        gate = tl.sigmoid(tl.sum(gate_acc, axis=1) + tl.load(gate_bias_ptr))  # [BLOCK_T]
    else:
        gate = tl.full((BLOCK_T,), 1.0, dtype=tl.float32)
    out = candidate * num_blocks + block
    tl.store(weighted_sum_ptr + out, tl.sum(tl.where(keep, gate * reward, 0.0), axis=0))
    tl.store(gate_sum_ptr + out, tl.sum(tl.where(keep, gate, 0.0), axis=0))
    if TOKEN_VALUES:
        tl.store(reward_ptr + candidate * num_tokens + token, reward, mask=token < num_tokens)
        tl.store(gate_ptr + candidate * num_tokens + token, gate, mask=token < num_tokens)


def kernel_weights(head: RewardHead) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights and biases of reward and gate as the kernels read them, float32 and contiguous.

    Without a gate the reward's stand in for the gate's, which are not read.
    """
    weights = (head.reward_weight, head.gate_weight if head.gated else head.reward_weight)
    biases = (head.reward_bias, head.gate_bias if head.gated else head.reward_bias)
    return tuple(value.detach().float().contiguous() for value in (*weights, *biases))


def launch_score(
    layers: Sequence[Tensor],
    head: RewardHead,
    scored: Tensor | None,
    return_token_scores: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Run the kernel on checked inputs: scores `[N]`, and rewards and gates `[N, T]` if asked."""
    num_candidates, num_tokens, hidden_size = layers[0].shape
    layers, table, is_aligned = address_table(layers)
    launch = score_launch(num_tokens, hidden_size, is_aligned)
    weights = kernel_weights(head)
    partial = weights[0].new_empty(2, num_candidates, launch.num_blocks)
    values = weights[0].new_empty(2, num_candidates, num_tokens) if return_token_scores else None
    with torch.cuda.device_of(table):  # Triton launches on the current device
        score_kernel[(num_candidates, launch.num_blocks)](
            table,
            *weights,
            partial if scored is None else scored,
            partial[0],
            partial[1],
            partial if values is None else values[0],
            partial if values is None else values[1],
            len(layers),
            num_tokens,
            launch.num_blocks,
            0 if scored is None else scored.stride(0),
            0 if scored is None else scored.stride(1),
            HIDDEN_SIZE=hidden_size,
            DTYPE=TRITON_DTYPES[layers[0].dtype],
            GATED=head.gated,
            MASKED=scored is not None,
            TOKEN_VALUES=return_token_scores,
            ALIGNED=is_aligned,
            BLOCK_T=launch.block_t,
            BLOCK_H=launch.block_h,
            num_warps=launch.num_warps,
        )
    weighted_sum, gate_sum = partial.sum(dim=-1)  # [N] each; blocks in a fixed order
    has_tokens = (
        scored.any(dim=-1)
        if scored is not None
        else torch.ones_like(weighted_sum, dtype=torch.bool)
    )
    scores = divide_sums(weighted_sum, gate_sum, has_tokens)
    return (scores, *values) if return_token_scores else (scores, None, None)
