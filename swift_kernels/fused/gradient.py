"""Triton kernel: the gradient of the head's weights, in one pass over the hidden states."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from swift_kernels.fused.addresses import layer_addresses
from swift_kernels.fused.tile import TRITON_DTYPES, compiler_options, layer_pointer
from swift_kernels.launch import gradient_launch, num_multiprocessors


@triton.jit(do_not_specialize=["num_rows", "num_tokens", "steps_per_split"])
def gradient_kernel(
    addresses,  # L int64: address of each layer's [N, T, H]
    reward_grad_ptr,  # [N, T] float32: of the loss with respect to each token's reward
    gate_grad_ptr,  # [N, T] float32: with respect to its gate logit, unused without a gate
    partial_ptr,  # [num_splits, R, L, H]  out: R is 2 with a gate, 1 without
    num_rows,  # N * T
    num_tokens,  # T
    steps_per_split,
    stride_n,
    stride_t,
    HIDDEN_SIZE: tl.constexpr,
    NUM_CHUNKS: tl.constexpr,  # of BLOCK_H columns in a layer
    DTYPE: tl.constexpr,
    GATED: tl.constexpr,
    FLAT: tl.constexpr,  # the rows of all candidates lie stride_t apart
    ALIGNED: tl.constexpr,  # rows start on 16-byte boundaries
    BLOCK_T: tl.constexpr,
    BLOCK_H: tl.constexpr,
    PARALLEL_ROWS: tl.constexpr,  # rows that the threads load at once
):
    """One program: BLOCK_H columns of one layer, one split of the tokens."""
    layer = tl.program_id(0) // NUM_CHUNKS
    chunk = tl.program_id(0) % NUM_CHUNKS
    split = tl.program_id(1)
    column = chunk * BLOCK_H + tl.arange(0, BLOCK_H)  # [BLOCK_H]
    inside = (column < HIDDEN_SIZE) | (HIDDEN_SIZE % BLOCK_H == 0)
    columns = layer_pointer(addresses, layer, DTYPE, ALIGNED) + column[None, :]
    first_row = split * steps_per_split * BLOCK_T
    end_row = tl.minimum(first_row + steps_per_split * BLOCK_T, num_rows)
    # The rows that one thread loads are summed in that thread.
    reward_acc = tl.zeros((PARALLEL_ROWS, BLOCK_H), dtype=tl.float32)
    gate_acc = tl.zeros((PARALLEL_ROWS, BLOCK_H), dtype=tl.float32)
    for start in range(first_row, end_row, BLOCK_T):
        row = start + tl.arange(0, BLOCK_T)  # [BLOCK_T]
        reward_grad = tl.load(reward_grad_ptr + row, mask=row < end_row, other=0.0)
        keep = reward_grad != 0
        if GATED:
            gate_grad = tl.load(gate_grad_ptr + row, mask=row < end_row, other=0.0)
            keep |= gate_grad != 0
        if FLAT:
            row_offset = row.to(tl.int64) * stride_t
        else:
            candidate = row // num_tokens
            token = (row % num_tokens).to(tl.int64)
            row_offset = candidate.to(tl.int64) * stride_n + token * stride_t
        at = columns + row_offset[:, None]
        if ALIGNED:
            at = tl.multiple_of(at, (16, 16))
        # Tokens without a gradient, the masked ones among them, are not read.
        h = tl.load(
            at, mask=keep[:, None] & inside[None, :], other=0.0, eviction_policy="evict_first"
        ).to(tl.float32)  # [BLOCK_T, BLOCK_H]
        reward_acc += _sum_rows(h * reward_grad[:, None], PARALLEL_ROWS)
        if GATED:
            gate_acc += _sum_rows(h * gate_grad[:, None], PARALLEL_ROWS)

    num_layers: tl.constexpr = len(addresses)
    num_weights: tl.constexpr = 2 if GATED else 1
    out = (split * num_weights * num_layers + layer).to(tl.int64) * HIDDEN_SIZE + column
    tl.store(partial_ptr + out, tl.sum(reward_acc, axis=0), mask=inside)
    if GATED:
        out += num_layers * HIDDEN_SIZE
        tl.store(partial_ptr + out, tl.sum(gate_acc, axis=0), mask=inside)


@triton.jit
def _sum_rows(product, PARALLEL_ROWS: tl.constexpr):
    """`[T, H]` to `[PARALLEL_ROWS, H]`: sums of the rows of each thread."""
    rounds = tl.reshape(
        product, (product.shape[0] // PARALLEL_ROWS, PARALLEL_ROWS, product.shape[1])
    )
    return tl.sum(rounds, axis=0)


def launch_gradient(layers: Sequence[Tensor], token_grads: Tensor) -> Tensor:
    """Gradient of the stacked weights, float32 `[R, L, H]`, on checked inputs.

    Args:
        layers: L tensors `[N, T, H]` with at least one token.
        token_grads: float32 `[R, N, T]`, contiguous: with respect to rewards, and to gate logits
            where R is 2. States of tokens with 0 in all of them are not read.
    """
    num_weights, num_candidates, num_tokens = token_grads.shape
    dtype, hidden_size = layers[0].dtype, layers[0].shape[2]
    num_rows = num_candidates * num_tokens
    layers, addresses, strides, is_aligned = layer_addresses(layers)
    launch = gradient_launch(
        num_rows,
        len(layers),
        hidden_size,
        itemsize=dtype.itemsize,
        num_sms=num_multiprocessors(layers[0].device),
        is_aligned=is_aligned,
    )
    partial = token_grads.new_empty(launch.num_splits, num_weights, len(layers), hidden_size)
    with torch.cuda.device_of(layers[0]):  # Triton launches on the current device
        gradient_kernel[(len(layers) * launch.num_chunks, launch.num_splits)](
            addresses,
            token_grads[0],
            token_grads[-1],
            partial,
            num_rows,
            num_tokens,
            launch.steps_per_split,
            *strides,
            HIDDEN_SIZE=hidden_size,
            NUM_CHUNKS=launch.num_chunks,
            DTYPE=TRITON_DTYPES[dtype],
            GATED=num_weights == 2,
            FLAT=num_candidates == 1 or strides[0] == num_tokens * strides[1],
            ALIGNED=is_aligned,
            BLOCK_T=launch.block_t,
            BLOCK_H=launch.block_h,
            PARALLEL_ROWS=launch.parallel_rows,
            **compiler_options(launch.num_warps, launch.max_registers),
        )
    return partial.sum(0)  # splits in a fixed order
