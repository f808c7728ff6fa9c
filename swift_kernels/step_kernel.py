"""Triton kernel: one token of each candidate, added to the running sums."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from swift_kernels.addresses import address_table
from swift_kernels.head import RewardHead
from swift_kernels.launch import step_launch
from swift_kernels.score_kernel import TRITON_DTYPES, kernel_weights


@triton.jit
def step_kernel(
    table_ptr,  # [L, 3] int64: address of each layer's [N, 1, H], its strides of N and T
    reward_weight_ptr,  # [L, H] float32
    gate_weight_ptr,  # [L, H] float32, unused without a gate
    reward_bias_ptr,  # [] float32
    gate_bias_ptr,  # [] float32, unused without a gate
    active_ptr,  # [N] bool
    weighted_sum_ptr,  # [N]  in and out
    gate_sum_ptr,  # [N]  in and out
    num_layers,
    stride_active,
    HIDDEN_SIZE: tl.constexpr,
    DTYPE: tl.constexpr,
    GATED: tl.constexpr,
    ALIGNED: tl.constexpr,  # rows start on 16-byte boundaries
    BLOCK_H: tl.constexpr,
):
    """One program: one candidate, all layers. It alone writes that candidate's two sums."""
    candidate = tl.program_id(0).to(tl.int64)
    active = tl.load(active_ptr + candidate * stride_active) != 0
    reward_acc = tl.zeros((BLOCK_H,), dtype=tl.float32)
    gate_acc = tl.zeros((BLOCK_H,), dtype=tl.float32)
    for layer in range(tl.where(active, num_layers, 0)):
        address = tl.load(table_ptr + layer * 3)
        stride_n = tl.load(table_ptr + layer * 3 + 1)
        hidden_ptr = address.to(tl.pointer_type(DTYPE))
        if ALIGNED:  # said of the pointer: the compiler forgets it of the integer
            hidden_ptr = tl.multiple_of(hidden_ptr, 16)
            stride_n = tl.multiple_of(stride_n, 128 // DTYPE.primitive_bitwidth)
        hidden_ptr += candidate * stride_n
        for start in range(0, HIDDEN_SIZE, BLOCK_H):
            column = start + tl.arange(0, BLOCK_H)  # [BLOCK_H]
            inside = column < HIDDEN_SIZE
            h = tl.load(hidden_ptr + column, mask=inside, other=0.0).to(tl.float32)  # [BLOCK_H]
            weight_at = layer * HIDDEN_SIZE + column
            reward_acc += h * tl.load(reward_weight_ptr + weight_at, mask=inside, other=0.0)
            if GATED:
                gate_acc += h * tl.load(gate_weight_ptr + weight_at, mask=inside, other=0.0)

    if active:
        reward = tl.sum(reward_acc, axis=0) + tl.load(reward_bias_ptr)
        gate = 1.0
        if GATED:
            gate = tl.sigmoid(tl.sum(gate_acc, axis=0) + tl.load(gate_bias_ptr))
        weighted_sum = tl.load(weighted_sum_ptr + candidate)
        tl.store(weighted_sum_ptr + candidate, weighted_sum + gate * reward)
        tl.store(gate_sum_ptr + candidate, tl.load(gate_sum_ptr + candidate) + gate)


def launch_step(
    layers: Sequence[Tensor],
    head: RewardHead,
    active: Tensor,
    weighted_sum: Tensor,
    gate_sum: Tensor,
) -> None:
    """Run the kernel on checked inputs, adding to `weighted_sum` and `gate_sum`, `[N]` each."""
    num_candidates, _, hidden_size = layers[0].shape
    launch = step_launch(hidden_size)
    layers, table, is_aligned = address_table(layers)
    with torch.cuda.device_of(table):  # Triton launches on the current device
        step_kernel[(num_candidates,)](
            table,
            *kernel_weights(head),
            active,
            weighted_sum,
            gate_sum,
            len(layers),
            active.stride(0),
            HIDDEN_SIZE=hidden_size,
            DTYPE=TRITON_DTYPES[layers[0].dtype],
            GATED=head.gated,
            ALIGNED=is_aligned,
            BLOCK_H=launch.block_h,
            num_warps=launch.num_warps,
        )
