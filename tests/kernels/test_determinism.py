"""The same input gives the same bits, in ten runs, on every path."""

import pytest
import torch

from paths import PATHS, assert_same_bits
from reference_inputs import BACKENDS, DTYPES

pytestmark = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ten_runs(path, backend):
    first = path(backend, torch.bfloat16)
    for _ in range(9):
        assert_same_bits(path(backend, torch.bfloat16), first)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_many_splits(path, dtype, many_splits):
    many_splits(50)
    first = path("triton", dtype)
    assert_same_bits(path("triton", dtype), first)
