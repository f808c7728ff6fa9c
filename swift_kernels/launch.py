"""Launch numbers: from shapes to sizes. No kernel is imported here."""

from typing import NamedTuple


class ScoreLaunch(NamedTuple):
    block_t: int  # tokens of one candidate per program
    block_h: int  # hidden dimensions per load
    num_blocks: int  # programs per candidate
    num_warps: int


class StepLaunch(NamedTuple):
    block_h: int
    num_warps: int


def next_power_of_2(value: int) -> int:
    return 1 << max(value - 1, 0).bit_length()


def score_launch(num_tokens: int, hidden_size: int, is_aligned: bool = True) -> ScoreLaunch:
    """Sizes for the padded batch.

    Weights are read once per tile of `block_t` tokens: at 16 tokens they add half a byte of cache
    traffic to each element. Two float32 accumulators of 16 x 256 take 64 registers a thread.
    Rows off the 16-byte boundaries are loaded one element at a time, with an address for each
    row: at 256 columns some compilers run out of registers.
    """
    block_t = min(16, next_power_of_2(num_tokens))
    block_h = min(256 if is_aligned else 128, max(16, next_power_of_2(hidden_size)))
    return ScoreLaunch(block_t, block_h, -(-num_tokens // block_t), num_warps=4)


def step_launch(hidden_size: int) -> StepLaunch:
    """Sizes for one token of each candidate: one program per candidate."""
    return StepLaunch(block_h=min(1024, max(16, next_power_of_2(hidden_size))), num_warps=4)


def torch_block_tokens(device_type: str) -> int:
    """Tokens converted to float32 at a time where PyTorch does the dot products.

    On a CPU 256 tokens of one layer fit in the second-level cache (4 MB at H = 4096), so both dot
    products read them from there. Elsewhere the block only bounds the float32 copy.
    """
    return 256 if device_type == "cpu" else 16384
