"""Triton kernel: one token of each candidate, added to the running sums."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from swift_kernels.addresses import layer_addresses
from swift_kernels.launch import num_multiprocessors, step_launch
from swift_kernels.tile import (
    TRITON_DTYPES,
    arrive,
    compiler_options,
    project_rows,
    store_partial,
    sum_partials,
)
from swift_kernels.workspace import workspace


@triton.jit(do_not_specialize=["num_candidates", "steps_per_split"])
def step_kernel(
    addresses,  # L int64: address of each layer's [N, 1, H]
    reward_weight_ptr,  # [L, H] float32
    gate_weight_ptr,  # [L, H] float32, unused without a gate
    reward_bias_ptr,  # [] float32
    gate_bias_ptr,  # [] float32, unused without a gate
    active_ptr,  # [N] bool
    partial_ptr,  # [num_splits, num_tiles, 2, BLOCK_N] scratch
    arrivals_ptr,  # [num_tiles] int32 zeros, before and after
    weighted_sum_ptr,  # [N]  in and out
    gate_sum_ptr,  # [N]  in and out
    has_tokens_ptr,  # [N] bool  in and out
    num_candidates,
    steps_per_split,
    stride_n,
    stride_active,
    HIDDEN_SIZE: tl.constexpr,
    DTYPE: tl.constexpr,
    GATED: tl.constexpr,
    ALIGNED: tl.constexpr,  # rows start on 16-byte boundaries
    BLOCK_N: tl.constexpr,
    BLOCK_H: tl.constexpr,
    VECTOR: tl.constexpr,  # columns that one thread loads at once
    BLOCK_S: tl.constexpr,  # splits that the last program reads at a time
):
    """One program: BLOCK_N candidates, one split of the layers and columns.

    The last program of a tile sums its splits in a fixed order and adds them to the sums.
    """
    tile = tl.program_id(0)
    split = tl.program_id(1)
    num_tiles = tl.num_programs(0)
    num_splits = tl.num_programs(1)
    candidate = tile * BLOCK_N + tl.arange(0, BLOCK_N)  # [BLOCK_N]
    keep = candidate < num_candidates
    keep &= tl.load(active_ptr + candidate * stride_active, mask=keep, other=0) != 0
    if tl.sum(keep.to(tl.int32), axis=0) > 0:
        # finished candidates read the row of the first one that is not: no more from memory
        first_kept = tl.min(tl.where(keep, candidate, num_candidates), axis=0)
        row_offset = tl.where(keep, candidate, first_kept).to(tl.int64) * stride_n
        reward, gate = project_rows(
            addresses,
            row_offset,
            reward_weight_ptr,
            gate_weight_ptr,
            split,
            steps_per_split,
            HIDDEN_SIZE,
            DTYPE,
            GATED,
            ALIGNED,
            BLOCK_N,
            BLOCK_H,
            VECTOR,
        )
        store_partial(partial_ptr, split, tile, num_tiles, reward, gate, BLOCK_N)
        if arrive(arrivals_ptr + tile, num_splits):
            reward, gate = sum_partials(partial_ptr, tile, num_tiles, num_splits, BLOCK_N, BLOCK_S)
            reward += tl.load(reward_bias_ptr)  # [BLOCK_N]
            if GATED:
                gate = tl.sigmoid(gate + tl.load(gate_bias_ptr))  # [BLOCK_N]
            else:
                gate = tl.full((BLOCK_N,), 1.0, dtype=tl.float32)
            weighted_sum = tl.load(weighted_sum_ptr + candidate, mask=keep, other=0.0)
            gate_sum = tl.load(gate_sum_ptr + candidate, mask=keep, other=0.0)
            tl.store(weighted_sum_ptr + candidate, weighted_sum + gate * reward, mask=keep)
            tl.store(gate_sum_ptr + candidate, gate_sum + gate, mask=keep)
            tl.store(has_tokens_ptr + candidate, keep, mask=keep)


def launch_step(
    layers: Sequence[Tensor],
    reward_weight: Tensor,
    reward_bias: Tensor,
    gate_weight: Tensor | None,
    gate_bias: Tensor | None,
    active: Tensor,
    weighted_sum: Tensor,
    gate_sum: Tensor,
    has_tokens: Tensor,
    *,
    is_workspace_shared: bool = True,
) -> None:
    """Run the kernel on checked inputs, adding to the sums `[N]`; allocates on the first call only.

    Args:
        layers: L tensors `[N, 1, H]`.
        reward_weight, reward_bias, gate_weight, gate_bias: float32, `[L, H]` and `[]`, contiguous.
        active: bool `[N]`.
        weighted_sum, gate_sum, has_tokens: float32, float32 and bool, `[N]`, contiguous.
        is_workspace_shared: as in `workspace`.
    """
    num_candidates, _, hidden_size = layers[0].shape
    dtype, device = layers[0].dtype, layers[0].device
    layers, addresses, strides, is_aligned = layer_addresses(layers)
    launch = step_launch(
        num_candidates,
        len(layers),
        hidden_size,
        itemsize=dtype.itemsize,
        num_sms=num_multiprocessors(device),
        is_aligned=is_aligned,
    )
    partial, arrivals = workspace(
        launch.num_splits * launch.num_tiles * 2 * launch.block_n,
        launch.num_tiles,
        device,
        is_shared=is_workspace_shared,
    )
    gated = gate_weight is not None
    with torch.cuda.device_of(layers[0]):  # Triton launches on the current device
        step_kernel[(launch.num_tiles, launch.num_splits)](
            addresses,
            reward_weight,
            gate_weight if gated else reward_weight,
            reward_bias,
            gate_bias if gated else reward_bias,
            active,
            partial,
            arrivals,
            weighted_sum,
            gate_sum,
            has_tokens,
            num_candidates,
            launch.steps_per_split,
            strides[0],
            active.stride(0),
            HIDDEN_SIZE=hidden_size,
            DTYPE=TRITON_DTYPES[dtype],
            GATED=gated,
            ALIGNED=is_aligned,
            BLOCK_N=launch.block_n,
            BLOCK_H=launch.block_h,
            VECTOR=launch.vector,
            BLOCK_S=launch.block_s,
            **compiler_options(launch.num_warps, launch.max_registers),
        )
