"""Triton kernel: scores of N candidates in one pass over the hidden states of all layers."""

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
    find_candidate,
    finish_rows,
    project_rows,
    store_partial,
)
from swift_kernels.fused.workspace import workspace
from swift_kernels.launch import ScoreLaunch, num_multiprocessors, score_launch
from swift_kernels.reference import GATE_SUM_FLOOR

# Sizes that change from batch to batch, of which the compiler need not know anything.
CHANGING = ["num_candidates", "num_tokens", "tiles_per_candidate", "steps_per_split"]
CHANGING += ["stride_scored_n", "stride_out_n"]


@triton.jit(do_not_specialize=CHANGING)
def score_kernel(
    addresses,  # L int64: address of each layer's [N, T, H]; packed: [1, total_tokens, H]
    reward_weight_ptr,  # [L, H] float32
    gate_weight_ptr,  # [L, H] float32, unused without a gate
    reward_bias_ptr,  # [] float32
    gate_bias_ptr,  # [] float32, unused without a gate
    scored_ptr,  # [N, T] bool or integer, unused without a mask
    cu_seqlens_ptr,  # [N + 1] int32 or int64, unused unless packed
    partial_ptr,  # [num_splits, num_tiles, 2, BLOCK_T] scratch
    tile_sum_ptr,  # [num_tiles, 3] scratch: gate * reward, gate, scored tokens
    arrivals_ptr,  # [num_tiles + N] int32 zeros, before and after
    score_ptr,  # [N]  out
    gate_sum_ptr,  # [N]  out
    reward_ptr,  # [N, T]  out, 0 where masked
    gate_ptr,  # [N, T]  out, 0 where masked
    num_candidates,
    num_tokens,  # T; packed: total_tokens
    tiles_per_candidate,  # unused if packed
    steps_per_split,
    stride_n,  # of the states, in elements; 0 if packed
    stride_t,
    stride_scored_n,  # 0 if packed
    stride_scored_t,
    stride_out_n,  # T; 0 if packed
    HIDDEN_SIZE: tl.constexpr,
    DTYPE: tl.constexpr,
    GATED: tl.constexpr,
    MASKED: tl.constexpr,
    PACKED: tl.constexpr,
    ALIGNED: tl.constexpr,  # rows start on 16-byte boundaries
    BLOCK_T: tl.constexpr,
    BLOCK_H: tl.constexpr,
    VECTOR: tl.constexpr,  # columns that one thread loads at once
    NUM_STAGES: tl.constexpr,
    BLOCK_S: tl.constexpr,  # splits, or tiles, that the last program reads at a time
    GATE_FLOOR: tl.constexpr,
):
    """One program: BLOCK_T tokens of one candidate, one split of the layers and columns.

    The last program of a tile sums its splits, the last tile of a candidate sums its tiles: the
    order of a sum depends on numbers, never on who comes when.
    """
    tile = tl.program_id(0)
    split = tl.program_id(1)
    num_tiles = tl.num_programs(0)
    num_splits = tl.num_programs(1)
    if PACKED:
        candidate = find_candidate(cu_seqlens_ptr, tile, num_candidates, BLOCK_T)
        # clamped: whatever the numbers say, no address lies outside the pack
        first = tl.load(cu_seqlens_ptr + candidate).to(tl.int32)
        first = tl.minimum(tl.maximum(first, 0), num_tokens)
        end = tl.load(cu_seqlens_ptr + candidate + 1).to(tl.int32)
        length = tl.minimum(tl.maximum(end, first), num_tokens) - first
        first_tile = first // BLOCK_T + candidate
    else:
        candidate = tile // tiles_per_candidate
        first = 0
        length = num_tokens
        first_tile = candidate * tiles_per_candidate
    own_tiles = tl.maximum(tl.cdiv(length, BLOCK_T), 1)  # one for an empty candidate, to say so
    if tile - first_tile >= own_tiles:
        return

    token = (tile - first_tile) * BLOCK_T + tl.arange(0, BLOCK_T)  # [BLOCK_T]
    position = (first + token).to(tl.int64)
    row = candidate.to(tl.int64)
    keep = token < length
    if MASKED:
        scored_at = scored_ptr + row * stride_scored_n + position * stride_scored_t
        keep &= tl.load(scored_at, mask=keep, other=0) != 0
    num_kept = tl.sum(keep.to(tl.int32), axis=0)
    if num_kept > 0:
        # Masked rows load from the address of a kept one, and what comes of it is dropped: nothing
        # more is read from memory, padding is never seen, and the loads need no predicate.
        first_kept = tl.min(tl.where(keep, position, first + length), axis=0)
        row_offset = row * stride_n + tl.where(keep, position, first_kept) * stride_t
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
            BLOCK_T,
            BLOCK_H,
            VECTOR,
            NUM_STAGES,
        )
        store_partial(partial_ptr, split, tile, num_tiles, reward, gate, BLOCK_T)
        is_last_split = arrive(arrivals_ptr + tile, num_splits)
    else:
        is_last_split = split == 0
    if is_last_split:
        reward, gate = finish_rows(
            partial_ptr,
            tile,
            num_tiles,
            tl.where(num_kept > 0, num_splits, 0),
            reward_bias_ptr,
            gate_bias_ptr,
            GATED,
            BLOCK_T,
            BLOCK_S,
        )  # [BLOCK_T] each
        out = row * stride_out_n + position
        tl.store(reward_ptr + out, tl.where(keep, reward, 0.0), mask=token < length)
        tl.store(gate_ptr + out, tl.where(keep, gate, 0.0), mask=token < length)
        tl.store(tile_sum_ptr + tile * 3, tl.sum(tl.where(keep, gate * reward, 0.0), axis=0))
        tl.store(tile_sum_ptr + tile * 3 + 1, tl.sum(tl.where(keep, gate, 0.0), axis=0))
        tl.store(tile_sum_ptr + tile * 3 + 2, num_kept.to(tl.float32))
        if arrive(arrivals_ptr + num_tiles + candidate, own_tiles):
            weighted_sum = tl.zeros((BLOCK_S,), dtype=tl.float32)
            gate_sum = tl.zeros((BLOCK_S,), dtype=tl.float32)
            num_scored = tl.zeros((BLOCK_S,), dtype=tl.float32)
            for start in range(0, own_tiles, BLOCK_S):
                index = start + tl.arange(0, BLOCK_S)
                at = tile_sum_ptr + (first_tile + index) * 3
                is_own = index < own_tiles
                weighted_sum += tl.load(at, mask=is_own, other=0.0, cache_modifier=".cg")
                gate_sum += tl.load(at + 1, mask=is_own, other=0.0, cache_modifier=".cg")
                num_scored += tl.load(at + 2, mask=is_own, other=0.0, cache_modifier=".cg")
            gates = tl.sum(gate_sum, axis=0)
            score = tl.sum(weighted_sum, axis=0) / tl.maximum(gates, GATE_FLOOR)
            has_tokens = tl.sum(num_scored, axis=0) > 0
            tl.store(score_ptr + candidate, tl.where(has_tokens, score, float("-inf")))
            tl.store(gate_sum_ptr + candidate, gates)


def _scratch(
    launch: ScoreLaunch, num_candidates: int, device: torch.device, is_shared: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Partial sums, sums of the tiles, and counters of who has arrived."""
    sizes = (launch.num_partials + 3 * launch.num_tiles, launch.num_tiles + num_candidates)
    floats, arrivals = workspace(*sizes, device, is_shared=is_shared)
    return floats, floats[launch.num_partials :], arrivals


def launch_score(
    layers: Sequence[Tensor],
    reward_weight: Tensor,
    reward_bias: Tensor,
    gate_weight: Tensor | None,
    gate_bias: Tensor | None,
    scored: Tensor | None,
    cu_seqlens: Tensor | None,
    *,
    is_workspace_shared: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores and gate sums `[N]`, rewards and gates `[N, T]`, from checked inputs with tokens.

    Args:
        layers: L tensors `[N, T, H]`; packed: `[1, total_tokens, H]`.
        reward_weight, reward_bias, gate_weight, gate_bias: float32, `[L, H]` and `[]`, contiguous.
        scored: bool or integer `[N, T]`; packed: `[1, total_tokens]`. None: all.
        cu_seqlens: int32 or int64 `[N + 1]` if packed.
        is_workspace_shared: as in `workspace`.
    """
    is_packed = cu_seqlens is not None
    rows, num_tokens, hidden_size = layers[0].shape
    num_candidates = len(cu_seqlens) - 1 if is_packed else rows
    dtype, device = layers[0].dtype, layers[0].device
    layers, addresses, strides, is_aligned = layer_addresses(layers)
    launch = score_launch(
        num_candidates,
        num_tokens,
        len(layers),
        hidden_size,
        itemsize=dtype.itemsize,
        num_sms=num_multiprocessors(device),
        is_aligned=is_aligned,
        is_packed=is_packed,
    )
    gated = gate_weight is not None
    scores, gate_sums = (reward_weight.new_empty(num_candidates) for _ in range(2))
    rewards, gates = (reward_weight.new_empty(rows, num_tokens) for _ in range(2))
    # false cu_seqlens could leave counters that are not 0
    is_shared = is_workspace_shared and not is_packed
    partial, tile_sums, arrivals = _scratch(launch, num_candidates, device, is_shared)
    with torch.cuda.device_of(layers[0]):  # Triton launches on the current device
        score_kernel[(launch.num_tiles, launch.num_splits)](
            addresses,
            reward_weight,
            gate_weight if gated else reward_weight,
            reward_bias,
            gate_bias if gated else reward_bias,
            scores if scored is None else scored,
            scores if cu_seqlens is None else cu_seqlens,
            partial,
            tile_sums,
            arrivals,
            scores,
            gate_sums,
            rewards,
            gates,
            num_candidates,
            num_tokens,
            launch.tiles_per_candidate,
            launch.steps_per_split,
            *strides,
            0 if scored is None or is_packed else scored.stride(0),
            0 if scored is None else scored.stride(1),
            0 if is_packed else num_tokens,
            HIDDEN_SIZE=hidden_size,
            DTYPE=TRITON_DTYPES[dtype],
            GATED=gated,
            MASKED=scored is not None,
            PACKED=is_packed,
            ALIGNED=is_aligned,
            BLOCK_T=launch.block_t,
            BLOCK_H=launch.block_h,
            VECTOR=launch.vector,
            NUM_STAGES=launch.num_stages,
            BLOCK_S=launch.block_s,
            GATE_FLOOR=GATE_SUM_FLOOR,
            **compiler_options(launch.num_warps, launch.max_registers),
        )
    return scores, gate_sums, rewards, gates
