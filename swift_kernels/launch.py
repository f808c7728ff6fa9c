"""Launch numbers: from shapes to sizes. No kernel is imported here.

The reasons, and what was predicted and measured of each number, are in docs/decisions.md.
"""

import functools
from typing import NamedTuple

import torch

VECTOR_BYTES = 16  # the widest load of one thread
BLOCK_ROWS = 64  # of a tile; its 64 columns of weights then add 6% to the bytes of its states
BLOCK_H = 64  # columns of a tile; fewer than threads: each then loads the weights it needs
NUM_WARPS = 4
NUM_STAGES = 1  # steps loaded ahead through shared memory: more needs a barrier in each step
MAX_REGISTERS = 88  # for 16-bit states; left alone, some compilers give too few, and spill
FLOAT32_REGISTERS = 104  # the same for float32 states
RESIDENT_PROGRAMS = 6  # that one multiprocessor holds at 80 registers a thread
WAVES = 4  # programs come and go this many times: the last ones then leave little idle
MIN_STEPS = 16  # of one program: with fewer, beginning and ending cost more than reading


class ScoreLaunch(NamedTuple):
    block_t: int  # tokens of one candidate per program
    block_h: int  # columns per step
    vector: int  # columns that one thread loads at once
    block_s: int  # splits, or tiles, that the last program sums at a time
    tiles_per_candidate: int  # of a padded batch
    num_tiles: int
    num_splits: int  # programs that share the layers and columns of a tile
    steps_per_split: int
    num_warps: int
    max_registers: int | None  # of one thread; None leaves it to the compiler
    num_stages: int

    @property
    def num_partials(self) -> int:
        """Floats that the splits of all tiles leave for the last ones to sum."""
        return self.num_splits * self.num_tiles * 2 * self.block_t


class GradientLaunch(NamedTuple):
    block_t: int  # tokens per step
    block_h: int  # columns of one layer per program
    parallel_rows: int  # tokens that all threads load at once
    num_chunks: int  # programs that share the columns of a layer
    num_splits: int  # programs that share the tokens
    steps_per_split: int
    num_warps: int
    max_registers: int | None  # of one thread; None leaves it to the compiler


def next_power_of_2(value: int) -> int:
    return 1 << max(value - 1, 0).bit_length()


def score_launch(
    num_candidates: int,
    num_tokens: int,
    num_layers: int,
    hidden_size: int,
    *,
    itemsize: int,
    num_sms: int,
    is_aligned: bool = True,
    is_packed: bool = False,
) -> ScoreLaunch:
    """Sizes for a batch of states.

    Args:
        num_tokens: T of a padded batch, the total of a packed one.
        itemsize: bytes of one number.
        num_sms: multiprocessors of the device.
        is_aligned: rows start on 16-byte boundaries.
    """
    mean_tokens = -(-num_tokens // num_candidates) if is_packed else num_tokens
    block_t = _block_rows(mean_tokens, itemsize, is_aligned)
    tiles_per_candidate = -(-num_tokens // block_t)
    if is_packed:
        num_tiles = num_tokens // block_t + num_candidates
    else:
        num_tiles = num_candidates * tiles_per_candidate
    block_h = _block_columns(hidden_size)
    num_splits, steps_per_split = _split(
        num_tiles, num_layers * -(-hidden_size // block_h), num_sms
    )
    return ScoreLaunch(
        block_t,
        block_h,
        _vector(itemsize, is_aligned),
        block_s=32,
        tiles_per_candidate=tiles_per_candidate,
        num_tiles=num_tiles,
        num_splits=num_splits,
        steps_per_split=steps_per_split,
        num_warps=NUM_WARPS,
        max_registers=_max_registers(itemsize),
        num_stages=NUM_STAGES,
    )


def step_launch(
    num_candidates: int,
    num_layers: int,
    hidden_size: int,
    *,
    itemsize: int,
    num_sms: int,
    is_aligned: bool = True,
) -> ScoreLaunch:
    """Sizes for one token of each candidate, which are the rows of the tiles."""
    return score_launch(
        1,
        num_candidates,
        num_layers,
        hidden_size,
        itemsize=itemsize,
        num_sms=num_sms,
        is_aligned=is_aligned,
    )


def gradient_launch(
    num_tokens: int,
    num_layers: int,
    hidden_size: int,
    *,
    itemsize: int,
    num_sms: int,
    is_aligned: bool = True,
) -> GradientLaunch:
    """Sizes for the gradient of the weights, from the states of `num_tokens` tokens in all."""
    block_t = _block_rows(num_tokens, itemsize, is_aligned)
    block_h = _block_columns(hidden_size)
    parallel_rows = NUM_WARPS * 32 * _vector(itemsize, is_aligned) // block_h
    num_chunks = -(-hidden_size // block_h)
    num_splits, steps_per_split = _split(
        num_layers * num_chunks, -(-num_tokens // block_t), num_sms
    )
    return GradientLaunch(
        block_t,
        block_h,
        min(block_t, parallel_rows),
        num_chunks,
        num_splits,
        steps_per_split,
        num_warps=NUM_WARPS,
        max_registers=_max_registers(itemsize),
    )


def _block_rows(num_rows: int, itemsize: int, is_aligned: bool) -> int:
    """Rows off the 16-byte boundaries are loaded one element at a time, which takes registers.

    Tiles of 16 float32 rows are so small that the compiler unrolls their loop, and spills.
    """
    if not is_aligned:
        return 16
    return min(BLOCK_ROWS, max(8 * itemsize, next_power_of_2(num_rows)))


def _block_columns(hidden_size: int) -> int:
    return min(BLOCK_H, max(16, next_power_of_2(hidden_size)))


def _max_registers(itemsize: int) -> int | None:
    return MAX_REGISTERS if itemsize == 2 else FLOAT32_REGISTERS


def _vector(itemsize: int, is_aligned: bool) -> int:
    return VECTOR_BYTES // itemsize if is_aligned else 1


def _split(num_tiles: int, num_steps: int, num_sms: int) -> tuple[int, int]:
    """Programs that share the steps of each tile, and the steps of each of them."""
    wanted = -(-num_sms * RESIDENT_PROGRAMS * WAVES // num_tiles)
    num_splits = max(1, min(wanted, num_steps // MIN_STEPS))
    steps_per_split = -(-num_steps // num_splits)
    return -(-num_steps // steps_per_split), steps_per_split


@functools.cache
def num_multiprocessors(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).multi_processor_count
    return 1  # the interpreter runs one program at a time


def concatenates_step(num_candidates: int, hidden_size: int) -> bool:
    """Whether PyTorch adds a step faster from one concatenation than layer by layer, on a CPU."""
    return num_candidates * hidden_size <= 2**17


def torch_block_tokens(device_type: str, hidden_size: int) -> int:
    """Tokens converted to float32 at a time where PyTorch does the dot products.

    On a CPU 2 MB of them stay in the second-level cache, where both dot products find them.
    Elsewhere the block only bounds the float32 copy.
    """
    if device_type != "cpu":
        return 16384
    return max(16, next_power_of_2(2**19 // hidden_size + 1) // 2)
