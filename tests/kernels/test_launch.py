"""Launch numbers: pure functions of the shapes, checked without a kernel.

What their last one, the limit of registers, is good for is seen in test_compile.py.
"""

import inspect

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from reference_inputs import random_head, random_layers
from swift_kernels import launch
from swift_kernels.launch import (
    GradientLaunch,
    ScoreLaunch,
    gradient_launch,
    score_launch,
    step_launch,
)

candidates = st.integers(1, 5_000)
tokens = st.integers(1, 200_000)
layers = st.integers(1, 200)
hidden_sizes = st.integers(1, 20_000)
itemsizes = st.sampled_from([2, 4])
multiprocessors = st.integers(1, 200)

# N, T, L, H, itemsize: block_t, block_h, vector, tiles of each, tiles, splits, steps of each
SCORE_TABLE = {
    "smallest": ((1, 1, 1, 1, 2), (16, 16, 8, 1, 1, 1, 1)),
    "odd": ((3, 7, 3, 24, 4), (32, 32, 4, 1, 3, 1, 3)),
    "small_batch": ((4, 128, 33, 4096, 2), (64, 64, 8, 2, 8, 132, 16)),
    "large_batch": ((64, 1024, 33, 4096, 2), (64, 64, 8, 16, 1024, 4, 528)),
    "float32": ((16, 512, 33, 4096, 4), (64, 64, 4, 8, 128, 25, 85)),
}


@pytest.mark.parametrize("case", SCORE_TABLE)
def test_score_table(case):
    (n, t, num_layers, hidden_size, itemsize), expected = SCORE_TABLE[case]
    sizes = score_launch(n, t, num_layers, hidden_size, itemsize=itemsize, num_sms=132)
    block_t, block_h, vector, *rest = expected
    assert sizes[:-2] == ScoreLaunch(block_t, block_h, vector, 32, *rest, 4, None, 1)[:-2]


def test_step_table():
    for n, (block_n, num_tiles) in {1: (16, 1), 16: (16, 1), 17: (32, 1), 256: (64, 4)}.items():
        sizes = step_launch(n, 33, 4096, itemsize=2, num_sms=132)
        expected = ScoreLaunch(block_n, 64, 8, 32, num_tiles, num_tiles, 132, 16, 4, None, 1)
        assert sizes[:-2] == expected[:-2]


def test_gradient_table():
    sizes = gradient_launch(8192, 33, 4096, itemsize=2, num_sms=132)
    assert sizes[:-1] == GradientLaunch(64, 64, 16, 64, 2, 64, 4, None)[:-1]
    sizes = gradient_launch(1, 1, 1, itemsize=4, num_sms=132)
    assert sizes[:-1] == GradientLaunch(32, 16, 32, 1, 1, 1, 4, None)[:-1]


@given(candidates, tokens, layers, hidden_sizes, itemsizes, multiprocessors, st.booleans())
@example(1, 1, 1, 1, 4, 1, True)
@example(3, 17, 2, 257, 2, 132, False)
def test_padded_tiles_cover_all(n, t, num_layers, hidden_size, itemsize, num_sms, is_aligned):
    sizes = score_launch(
        n, t, num_layers, hidden_size, itemsize=itemsize, num_sms=num_sms, is_aligned=is_aligned
    )
    assert sizes.num_tiles == n * sizes.tiles_per_candidate
    assert (sizes.tiles_per_candidate - 1) * sizes.block_t < t
    assert t <= sizes.tiles_per_candidate * sizes.block_t
    assert_blocks_fit(sizes.block_t, sizes.block_h, sizes.vector, itemsize, is_aligned)
    assert_steps_cover(sizes, num_layers * -(-hidden_size // sizes.block_h))


@given(st.lists(st.integers(0, 300), min_size=1, max_size=50), itemsizes)
@example([0, 0], 2)
@example([1] * 50, 4)
@example([0] * 49 + [300], 2)
def test_packed_tiles_cover_every_candidate(lengths, itemsize):
    """Candidate n owns the tiles from `cu_seqlens[n] // block_t + n`, as the kernel finds them."""
    total = sum(lengths)
    sizes = score_launch(len(lengths), total, 2, 64, itemsize=itemsize, num_sms=132, is_packed=True)
    start, next_free = 0, 0
    for candidate, length in enumerate(lengths):
        first_tile = start // sizes.block_t + candidate
        assert first_tile >= next_free
        next_free = first_tile + max(1, -(-length // sizes.block_t))
        start += length
    assert next_free <= sizes.num_tiles


@given(candidates, layers, hidden_sizes, itemsizes, multiprocessors, st.booleans())
def test_step_tiles_cover_all(n, num_layers, hidden_size, itemsize, num_sms, is_aligned):
    sizes = step_launch(
        n, num_layers, hidden_size, itemsize=itemsize, num_sms=num_sms, is_aligned=is_aligned
    )
    assert (sizes.num_tiles - 1) * sizes.block_t < n <= sizes.num_tiles * sizes.block_t
    assert_blocks_fit(sizes.block_t, sizes.block_h, sizes.vector, itemsize, is_aligned)
    assert_steps_cover(sizes, num_layers * -(-hidden_size // sizes.block_h))


@given(tokens, layers, hidden_sizes, itemsizes, multiprocessors, st.booleans())
def test_gradient_programs_cover_all(t, num_layers, hidden_size, itemsize, num_sms, is_aligned):
    sizes = gradient_launch(
        t, num_layers, hidden_size, itemsize=itemsize, num_sms=num_sms, is_aligned=is_aligned
    )
    assert (sizes.num_chunks - 1) * sizes.block_h < hidden_size <= sizes.num_chunks * sizes.block_h
    assert is_power_of_2(sizes.block_t) and is_power_of_2(sizes.block_h)
    assert is_power_of_2(sizes.parallel_rows) and sizes.parallel_rows <= sizes.block_t
    assert_steps_cover(sizes, -(-t // sizes.block_t))


def assert_blocks_fit(rows, block_h, vector, itemsize, is_aligned):
    assert is_power_of_2(rows) and is_power_of_2(block_h)
    assert 16 <= rows <= 64  # tiles of fewer rows read too many weights, of more too many registers
    assert vector == (16 // itemsize if is_aligned else 1)
    assert block_h % vector == 0


def assert_steps_cover(sizes, num_steps):
    """No split is empty, and most leave no program with hardly any work."""
    assert (sizes.num_splits - 1) * sizes.steps_per_split < num_steps
    assert num_steps <= sizes.num_splits * sizes.steps_per_split
    assert sizes.steps_per_split >= min(num_steps, launch.MIN_STEPS)
    assert sizes.num_splits <= 65_535  # programs on the second axis of a grid


def test_small_batches_fill_the_device():
    for sizes in (
        score_launch(4, 128, 33, 4096, itemsize=2, num_sms=132),
        score_launch(4, 512, 33, 4096, itemsize=2, num_sms=132, is_packed=True),
        step_launch(16, 33, 4096, itemsize=2, num_sms=132),
    ):
        assert sizes.num_tiles * sizes.num_splits >= 132


@given(st.integers(1, 2**40))
def test_next_power_of_2(value):
    power = launch.next_power_of_2(value)
    assert is_power_of_2(power)
    assert power >= value > power // 2


def is_power_of_2(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
@pytest.mark.parametrize("hidden_size", [1, 4096, 10**6])
def test_blocks_of_the_torch_path(device_type, hidden_size):
    assert launch.torch_block_tokens(device_type, hidden_size) >= 1


def test_imports_no_kernel():
    modules = {value.__name__ for value in vars(launch).values() if inspect.ismodule(value)}
    assert modules <= {"functools", "torch"}


def test_tiles_are_on_the_long_axis_of_the_grid(monkeypatch):
    from swift_kernels.fused import score as score_kernel

    grids = []

    class Recorder:
        def __getitem__(self, grid):
            grids.append(grid)
            return lambda *args, **kwargs: None

    monkeypatch.setattr(score_kernel, "score_kernel", Recorder())
    layers = random_layers((1, 70_000, 1, 1), torch.bfloat16)
    weights = [weight.detach() for weight in random_head(1, 1).kernel_weights()]
    score_kernel.launch_score(layers, *weights, None, None)
    assert grids == [(70_000, 1)]  # the other axis takes 65,535 programs at most
