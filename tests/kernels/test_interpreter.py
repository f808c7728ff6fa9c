"""Kernels that count to a number which only they know, in the interpreter of any Triton."""

import pytest
import torch
import triton
import triton.language as tl

from reference_inputs import DEVICE
from swift_kernels.fused import interpreter


@triton.jit
def count_kernel(limits_ptr, counts_ptr):
    program = tl.program_id(0)
    count = 0
    for _ in range(program, tl.load(limits_ptr + program)):
        count += 1
    tl.store(counts_ptr + program, count)


def test_a_loop_to_a_loaded_number():
    limits = torch.tensor([3, 1, 0, 10], dtype=torch.int32, device=DEVICE)
    counts = torch.full_like(limits, -1)
    count_kernel[(4,)](limits, counts)
    assert counts.tolist() == [3, 0, 0, 7]


@pytest.mark.parametrize(
    ("triton_version", "numpy_version", "is_mended"),
    [
        ("3.6.0", "2.4.0", True),
        ("3.4.0", "2.10.1", True),
        ("3.6.0+git1234", "2.4.0rc1", True),
        ("3.6.0", "2.3.5", False),
        ("3.7.0", "2.4.6", False),
        ("3.10.0", "2.4.6", False),
        ("4.0.0", "3.0.0", False),
    ],
)
def test_which_interpreters_are_mended(triton_version, numpy_version, is_mended):
    takes, refuses = interpreter.takes_arrays, interpreter.refuses_arrays
    assert (takes(triton_version) and refuses(numpy_version)) == is_mended
