"""Memory that launches share: kept per stream, growing, never in a CUDA graph. CUDA is played."""

import pytest
import torch

from swift_kernels.fused import workspace as module
from swift_kernels.fused.workspace import workspace

CUDA = torch.device("cuda", 0)


class Stream:
    cuda_stream = 7


@pytest.fixture
def cuda(monkeypatch):
    """`stream` and `is_capturing` of a CUDA whose memory is that of the CPU."""
    state = type("State", (), {"stream": Stream(), "is_capturing": False})()
    allocate = module._allocate
    monkeypatch.setattr(module, "_workspaces", {})
    monkeypatch.setattr(module, "_allocate", lambda f, c, device: allocate(f, c, "cpu"))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: state.is_capturing)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: state.stream)
    return state


def addresses(pair):
    return [tensor.data_ptr() for tensor in pair]


def test_is_kept(cuda):
    first = workspace(100, 10, CUDA)
    assert addresses(workspace(50, 3, CUDA)) == addresses(first)
    assert not first[1].any()


def test_grows_in_both_and_shrinks_in_none(cuda):
    workspace(100, 10, CUDA)
    floats, counters = workspace(40, 30, CUDA)
    assert len(floats) >= 100
    assert len(counters) >= 30
    assert not counters.any()


def test_is_of_one_stream(cuda):
    first = workspace(100, 10, CUDA)
    cuda.stream = type("Other", (), {"cuda_stream": 8})()
    assert set(addresses(workspace(100, 10, CUDA))).isdisjoint(addresses(first))


@pytest.mark.parametrize("reason", ["capturing", "not_shared", "cpu"])
def test_is_not_shared(cuda, reason):
    kept = workspace(100, 10, CUDA)
    cuda.is_capturing = reason == "capturing"
    device = torch.device("cpu") if reason == "cpu" else CUDA
    for _ in range(2):
        own = workspace(100, 10, device, is_shared=reason != "not_shared")
        assert set(addresses(own)).isdisjoint(addresses(kept))
        assert not own[1].any()
    cuda.is_capturing = False
    assert addresses(workspace(100, 10, CUDA)) == addresses(kept)
