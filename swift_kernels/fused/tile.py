"""What the kernels share: the dot products of a tile of rows, and sums over programs.

The states are the only traffic that counts, so everything else stays out of the inner loop: its
loads are 16 bytes wide and unmasked, its weights fit the threads as they come, and no thread waits
for another one.
"""

import torch
import triton
import triton.language as tl

from swift_kernels.fused import interpreter as interpreter  # before the first launch

TRITON_DTYPES = {
    torch.float32: tl.float32,
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
}


def compiler_options(num_warps: int, max_registers: int | None) -> dict:
    options = {"num_warps": num_warps, "enable_fp_fusion": True}
    if torch.version.hip is None:  # AMD's compiler has no such option
        options["maxnreg"] = max_registers
    return options


@triton.jit
def select_address(addresses, layer):
    """One of a tuple of kernel arguments, by a number that is known at run time only."""
    address = addresses[0]
    for index in tl.static_range(1, len(addresses)):
        address = tl.where(layer == index, addresses[index], address)
    return address


@triton.jit
def layer_pointer(addresses, layer, DTYPE: tl.constexpr, ALIGNED: tl.constexpr):
    pointer = select_address(addresses, layer).to(tl.pointer_type(DTYPE))
    if ALIGNED:  # said of the pointer: the compiler forgets it of the integer
        pointer = tl.multiple_of(pointer, 16)
    return pointer


@triton.jit
def project_rows(
    addresses,  # L int64: address of each layer
    row_offset,  # [BLOCK_R] int64: first element of each row, from those addresses
    reward_weight_ptr,  # [L, H] float32
    gate_weight_ptr,  # [L, H] float32, unused without a gate
    split,
    steps_per_split,
    HIDDEN_SIZE: tl.constexpr,
    DTYPE: tl.constexpr,
    GATED: tl.constexpr,
    ALIGNED: tl.constexpr,  # rows start on 16-byte boundaries
    BLOCK_R: tl.constexpr,
    BLOCK_H: tl.constexpr,
    VECTOR: tl.constexpr,  # columns that one thread loads at once
    NUM_STAGES: tl.constexpr,
):
    """Dot products of rows with both weights over one split of the steps, `[BLOCK_R]` each.

    A step is BLOCK_H columns of one layer; L * ceil(H / BLOCK_H) steps make the whole.
    """
    num_chunks: tl.constexpr = (HIDDEN_SIZE + BLOCK_H - 1) // BLOCK_H
    first_step = split * steps_per_split
    last_step = tl.minimum(first_step + steps_per_split, len(addresses) * num_chunks)
    # The columns that one thread loads are summed in that thread: small accumulators leave room
    # for more programs, and so for more loads in flight.
    reward_acc = tl.zeros((BLOCK_R, BLOCK_H // VECTOR), dtype=tl.float32)
    gate_acc = tl.zeros((BLOCK_R, BLOCK_H // VECTOR), dtype=tl.float32)
    for layer in range(first_step // num_chunks, tl.cdiv(last_step, num_chunks)):
        rows = layer_pointer(addresses, layer, DTYPE, ALIGNED) + row_offset[:, None]
        if ALIGNED:  # said of this sum: the compiler forgets it of an argument
            rows = tl.multiple_of(rows, (16, 16))
        first_chunk = tl.maximum(first_step - layer * num_chunks, 0)
        last_chunk = tl.minimum(last_step - layer * num_chunks, num_chunks)
        for chunk in tl.range(first_chunk, last_chunk, num_stages=NUM_STAGES):
            column = chunk * BLOCK_H + tl.arange(0, BLOCK_H)  # [BLOCK_H]
            inside = (column < HIDDEN_SIZE) | (HIDDEN_SIZE % BLOCK_H == 0)
            h = tl.load(
                rows + column[None, :],
                mask=inside[None, :],
                other=0.0,
                eviction_policy="evict_first",
            ).to(tl.float32)  # [BLOCK_R, BLOCK_H]
            weight_at = layer * HIDDEN_SIZE + column
            reward_weight = tl.load(reward_weight_ptr + weight_at, mask=inside, other=0.0)
            reward_acc += _sum_vectors(h * reward_weight[None, :], VECTOR)
            if GATED:
                gate_weight = tl.load(gate_weight_ptr + weight_at, mask=inside, other=0.0)
                gate_acc += _sum_vectors(h * gate_weight[None, :], VECTOR)
    return tl.sum(reward_acc, axis=1), tl.sum(gate_acc, axis=1)


@triton.jit
def _sum_vectors(product, VECTOR: tl.constexpr):
    """`[R, C]` to `[R, C // VECTOR]`: sums of neighbours, each within one thread."""
    vectors = tl.reshape(product, (product.shape[0], product.shape[1] // VECTOR, VECTOR))
    return tl.sum(vectors, axis=2)


@triton.jit
def store_partial(partial_ptr, split, tile, num_tiles, reward, gate, BLOCK_R: tl.constexpr):
    """Keep what one split found of a tile, in `[num_splits, num_tiles, 2, BLOCK_R]`."""
    at = partial_ptr + (split * num_tiles + tile).to(tl.int64) * 2 * BLOCK_R
    row = tl.arange(0, BLOCK_R)
    tl.store(at + row, reward)
    tl.store(at + BLOCK_R + row, gate)


@triton.jit
def finish_rows(
    partial_ptr,
    tile,
    num_tiles,
    num_splits,
    reward_bias_ptr,  # [] float32
    gate_bias_ptr,  # [] float32, unused without a gate
    GATED: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """Rewards and gates of a tile from all its splits, `[BLOCK_R]` each, added in a fixed order."""
    row = tl.arange(0, BLOCK_R)
    reward = tl.zeros((BLOCK_R,), dtype=tl.float32)
    gate = tl.zeros((BLOCK_R,), dtype=tl.float32)
    for start in range(0, num_splits, BLOCK_S):
        split = start + tl.arange(0, BLOCK_S)
        at = (split * num_tiles + tile).to(tl.int64) * 2 * BLOCK_R
        at = partial_ptr + at[:, None] + row[None, :]  # [BLOCK_S, BLOCK_R]
        is_split = (split < num_splits)[:, None]
        # past the first-level cache, which does not see what other multiprocessors store
        rewards = tl.load(at, mask=is_split, other=0.0, cache_modifier=".cg")
        gates = tl.load(at + BLOCK_R, mask=is_split, other=0.0, cache_modifier=".cg")
        reward += tl.sum(rewards, axis=0)
        gate += tl.sum(gates, axis=0)
    reward += tl.load(reward_bias_ptr)
    if GATED:
        gate = tl.sigmoid(gate + tl.load(gate_bias_ptr))
    else:
        gate = tl.full((BLOCK_R,), 1.0, dtype=tl.float32)
    return reward, gate


@triton.jit
def arrive(counter_ptr, expected):
    """Whether this program comes last of `expected`; it then sees all that the others stored.

    The last one sets the counter back to 0, so that the next launch finds it as this one did.
    """
    tl.debug_barrier()  # every thread has stored
    is_last = tl.atomic_add(counter_ptr, 1, sem="acq_rel") == expected - 1
    if is_last:
        tl.store(counter_ptr, 0)
    return is_last


@triton.jit
def find_candidate(cu_seqlens_ptr, tile, num_candidates, BLOCK_T: tl.constexpr):
    """The candidate of a tile where candidate n owns the tiles from `cu_seqlens[n] // BLOCK_T + n`.

    That leaves each of them enough tiles, and a few over, wherever it starts in the pack.
    """
    low = tl.zeros((), dtype=tl.int32)
    high = low + num_candidates
    while high - low > 1:
        middle = (low + high) // 2
        first_tile = tl.load(cu_seqlens_ptr + middle) // BLOCK_T + middle
        is_below = first_tile <= tile
        low = tl.where(is_below, middle, low)
        high = tl.where(is_below, high, middle)
    return low
