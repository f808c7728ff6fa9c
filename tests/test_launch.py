"""Launch numbers: pure functions of the shapes, checked without a kernel."""

import inspect

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from reference_inputs import random_head, random_layers
from swift_kernels import launch
from swift_kernels.launch import ScoreLaunch, StepLaunch, score_launch, step_launch

tokens = st.integers(1, 200_000)
hidden_sizes = st.integers(1, 20_000)


@pytest.mark.parametrize(
    "num_tokens, hidden_size, expected",
    [
        (1, 1, ScoreLaunch(block_t=1, block_h=16, num_blocks=1, num_warps=4)),
        (7, 24, ScoreLaunch(block_t=8, block_h=32, num_blocks=1, num_warps=4)),
        (16, 256, ScoreLaunch(block_t=16, block_h=256, num_blocks=1, num_warps=4)),
        (17, 576, ScoreLaunch(block_t=16, block_h=256, num_blocks=2, num_warps=4)),
        (33, 300, ScoreLaunch(block_t=16, block_h=256, num_blocks=3, num_warps=4)),
        (1024, 4096, ScoreLaunch(block_t=16, block_h=256, num_blocks=64, num_warps=4)),
    ],
)
def test_score_table(num_tokens, hidden_size, expected):
    assert score_launch(num_tokens, hidden_size) == expected
    unaligned = score_launch(num_tokens, hidden_size, is_aligned=False)
    assert unaligned == expected._replace(block_h=min(expected.block_h, 128))


@pytest.mark.parametrize("hidden_size, block_h", [(1, 16), (17, 32), (577, 1024), (4096, 1024)])
def test_step_table(hidden_size, block_h):
    assert step_launch(hidden_size) == StepLaunch(block_h, num_warps=4)


@given(tokens, hidden_sizes, st.booleans())
@example(1, 1, True)
@example(16, 16, False)
@example(17, 257, True)
def test_blocks_cover_the_tokens_and_no_more(num_tokens, hidden_size, is_aligned):
    sizes = score_launch(num_tokens, hidden_size, is_aligned)
    assert is_power_of_2(sizes.block_t) and is_power_of_2(sizes.block_h)
    assert is_power_of_2(sizes.num_warps)
    assert (sizes.num_blocks - 1) * sizes.block_t < num_tokens <= sizes.num_blocks * sizes.block_t


@given(tokens, hidden_sizes)
def test_accumulators_fit_in_registers(num_tokens, hidden_size):
    sizes = score_launch(num_tokens, hidden_size)
    assert 2 * sizes.block_t * sizes.block_h / (32 * sizes.num_warps) <= 64
    step = step_launch(hidden_size)
    assert is_power_of_2(step.block_h)
    assert 2 * step.block_h / (32 * step.num_warps) <= 64


@given(st.integers(1, 2**40))
def test_next_power_of_2(value):
    power = launch.next_power_of_2(value)
    assert is_power_of_2(power)
    assert power >= value > power // 2


def is_power_of_2(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
def test_blocks_of_the_torch_path(device_type):
    assert launch.torch_block_tokens(device_type) >= 1


def test_imports_nothing_that_computes():
    modules = {name for name, value in vars(launch).items() if inspect.ismodule(value)}
    assert modules == set()


def test_candidates_are_on_the_long_axis_of_the_grid(monkeypatch):
    from swift_kernels import score_kernel

    grids = []

    class Recorder:
        def __getitem__(self, grid):
            grids.append(grid)
            return lambda *args, **kwargs: None

    monkeypatch.setattr(score_kernel, "score_kernel", Recorder())
    layers = random_layers((1, 70_000, 1, 1), torch.bfloat16)
    score_kernel.launch_score(layers, random_head(1, 1), None, False)
    assert grids == [(70_000, 1)]  # the other axes take 65,535 programs at most
