"""How fast the memory of a device is: the ceiling of every benchmark."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from measuring.failures import RUN_ERRORS, why
from measuring.timing import gb_per_s, time_in_turns

BANDWIDTH_BYTES = {"cuda": 4 * 2**30, "cpu": 256 * 2**20}  # far larger than any cache
BANDWIDTH_ROUNDS = 15

BLOCK = 4096  # numbers of one step: 128 bytes a thread
NUM_WARPS = 4
NUM_PROGRAMS = 4096  # 4 times what 132 multiprocessors hold at once


class Bandwidth(NamedTuple):
    """What the memory gives in this run, in 10^9 bytes per second."""

    copy_gb_per_s: float
    read_gb_per_s: float
    fastest_read: str = ""  # which way of reading that was

    @property
    def ceiling_gb_per_s(self) -> float:
        """The larger of the two."""
        return max(self.copy_gb_per_s, self.read_gb_per_s)


def measured_bandwidth(device: torch.device | str) -> Bandwidth:
    """The bandwidth of a copy and of a read, on tensors far larger than the caches.

    Copy: `Tensor.copy_` within the device, counting the bytes read and the bytes written. Read:
    the fastest of three reductions of one float32 tensor, `sum` of all, `amax` of all and `sum` of
    rows of 16,384, and on a GPU also of a kernel that does nothing else.
    """
    device = torch.device(device)
    source = torch.rand(BANDWIDTH_BYTES[device.type] // 4, device=device)
    target = torch.empty_like(source)
    rows = source.view(-1, 16_384)
    copies = {"copy": lambda: target.copy_(source)}
    reads = {
        "sum": lambda: source.sum(),
        "amax": lambda: source.amax(),
        "row_sum": lambda: rows.sum(-1),
    }
    if device.type == "cuda":
        reads |= _read_kernel(source)
    timings = time_in_turns(copies | reads, device, BANDWIDTH_ROUNDS)
    fastest = min(reads, key=lambda name: timings[name].p50_ms)
    return Bandwidth(
        gb_per_s(2 * source.nbytes, timings["copy"].p50_ms),
        gb_per_s(source.nbytes, timings[fastest].p50_ms),
        fastest,
    )


def _read_kernel(source: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The kernel that only reads, if it runs here and its sum is right."""
    try:
        from measuring.bandwidth import read_all

        total, expected = read_all(source).double().sum(), source.sum(dtype=torch.float64)
    except (ImportError, *RUN_ERRORS) as error:
        print(f"no kernel that only reads: {why(error)}", flush=True)
        return {}
    if not torch.isclose(total, expected, rtol=1e-5):
        print("no kernel that only reads: its sum is wrong", flush=True)
        return {}
    return {"read_kernel": lambda: read_all(source)}


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
