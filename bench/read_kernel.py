"""A kernel that only reads: how fast the memory of a GPU gives bytes, whatever PyTorch reaches."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 4096  # numbers of one step: 128 bytes a thread
NUM_WARPS = 4
NUM_PROGRAMS = 4096  # 4 times what 132 multiprocessors hold at once


@triton.jit
def read_kernel(
    source_ptr,  # float32 [num_steps * num_programs * BLOCK]
    sums_ptr,  # float32 [num_programs]  out
    num_steps,
    BLOCK: tl.constexpr,
):
    """One program sums `num_steps` blocks that lie `num_programs` blocks apart."""
    program = tl.program_id(0)
    num_programs = tl.num_programs(0)
    columns = tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for step in range(num_steps):
        block = (step * num_programs + program).to(tl.int64)
        total += tl.load(source_ptr + block * BLOCK + columns)
    tl.store(sums_ptr + program, tl.sum(total, axis=0))


def read_all(source: Tensor, num_programs: int = NUM_PROGRAMS) -> Tensor:
    """The sums of `num_programs` parts of a float32 vector, one launch.

    Raises:
        ValueError: the vector is no multiple of `num_programs` blocks.
    """
    num_steps, rest = divmod(source.numel(), num_programs * BLOCK)
    if rest:
        raise ValueError(f"{source.numel()} numbers, expected a multiple of {num_programs * BLOCK}")
    sums = torch.empty(num_programs, device=source.device)
    read_kernel[(num_programs,)](source, sums, num_steps, BLOCK=BLOCK, num_warps=NUM_WARPS)
    return sums
