"""Triton kernel: one token of each candidate, added to the running sums."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from swift_kernels.fused.addresses import layer_addresses
from swift_kernels.fused.tile import (
    TRITON_DTYPES,
    arrive,
    compiler_options,
    finish_rows,
    project_rows,
    store_partial,
)
from swift_kernels.fused.workspace import workspace
from swift_kernels.launch import num_multiprocessors, step_launch


@triton.jit(do_not_specialize=["num_candidates", "steps_per_split"])
def step_kernel(
    addresses,  # L int64: address of each layer's [N, 1, H]
    reward_weight_ptr,  # [L, H] float32
    gate_weight_ptr,  # [L, H] float32, unused without a gate
    reward_bias_ptr,  # [] float32
    gate_bias_ptr,  # [] float32, unused without a gate
    active_ptr,  # [N] bool or integer
    partial_ptr,  # [num_splits, num_tiles, 2, BLOCK_N] scratch
    arrivals_ptr,  # [num_tiles] int32 zeros, before and after
    sums_ptr,  # [4, N]  in and out: of gate * reward and of the gate, each with its error
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
    NUM_STAGES: tl.constexpr,
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
            NUM_STAGES,
        )
        store_partial(partial_ptr, split, tile, num_tiles, reward, gate, BLOCK_N)
        if arrive(arrivals_ptr + tile, num_splits):
            reward, gate = finish_rows(
                partial_ptr,
                tile,
                num_tiles,
                num_splits,
                reward_bias_ptr,
                gate_bias_ptr,
                GATED,
                BLOCK_N,
                BLOCK_S,
            )  # [BLOCK_N] each
            own_sums = sums_ptr + candidate
            _add_compensated(own_sums, 2 * num_candidates, gate * reward, keep)
            _add_compensated(own_sums + num_candidates, 2 * num_candidates, gate, keep)
            tl.store(has_tokens_ptr + candidate, keep, mask=keep)


@triton.jit
def _add_compensated(sum_ptr, error_distance, value, keep):
    """Add to the sum and keep what rounding added, as `running.add_compensated` does."""
    total = tl.load(sum_ptr, mask=keep, other=0.0)
    value -= tl.load(sum_ptr + error_distance, mask=keep, other=0.0)
    new_total = total + value
    error = (new_total - total) - value
    error = tl.where(tl.abs(error) < float("inf"), error, 0.0)  # an infinite sum stays one
    tl.store(sum_ptr + error_distance, error, mask=keep)
    tl.store(sum_ptr, new_total, mask=keep)


def step_scratch(
    num_candidates: int, num_layers: int, hidden_size: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Partial sums and counters for steps of any dtype and alignment, of their own."""
    launches = [
        step_launch(
            num_candidates,
            num_layers,
            hidden_size,
            itemsize=itemsize,
            num_sms=num_multiprocessors(device),
            is_aligned=is_aligned,
        )
        for itemsize in (2, 4)
        for is_aligned in (True, False)
    ]
    num_floats = max(launch.num_partials for launch in launches)
    num_tiles = max(launch.num_tiles for launch in launches)
    return workspace(num_floats, num_tiles, device, is_shared=False)


def launch_step(
    layers: Sequence[Tensor],
    reward_weight: Tensor,
    reward_bias: Tensor,
    gate_weight: Tensor | None,
    gate_bias: Tensor | None,
    active: Tensor,
    sums: Tensor,
    has_tokens: Tensor,
    partial: Tensor,
    arrivals: Tensor,
) -> None:
    """Run the kernel on checked inputs, adding to the sums. Allocates nothing.

    Args:
        layers: L tensors `[N, 1, H]`.
        reward_weight, reward_bias, gate_weight, gate_bias: float32, `[L, H]` and `[]`, contiguous.
        active: bool or integer `[N]`.
        sums: float32 `[4, N]`, contiguous: of gate * reward, of the gate, and the errors of both.
        has_tokens: bool `[N]`.
        partial, arrivals: of `step_scratch`.
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
            sums,
            has_tokens,
            num_candidates,
            launch.steps_per_split,
            strides[0],
            active.stride(0),
            HIDDEN_SIZE=hidden_size,
            DTYPE=TRITON_DTYPES[dtype],
            GATED=gated,
            ALIGNED=is_aligned,
            BLOCK_N=launch.block_t,
            BLOCK_H=launch.block_h,
            VECTOR=launch.vector,
            NUM_STAGES=launch.num_stages,
            BLOCK_S=launch.block_s,
            **compiler_options(launch.num_warps, launch.max_registers),
        )
