"""Which backend runs where, with and without Triton."""

import subprocess
import sys

import pytest
import torch

from reference_inputs import random_head, random_layers
from swift_kernels import RunningScore, backends, fused, score_candidates
from swift_kernels.backends import choose_backend

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def without_triton(monkeypatch):
    monkeypatch.setattr(backends, "HAS_TRITON", False)


@pytest.fixture
def compiled(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


@pytest.fixture(params=["1", "true", "ON", "yes", "y"])
def interpreted(request, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", request.param)


def test_compiled(compiled):
    assert choose_backend("auto", CUDA) == "triton"
    assert choose_backend("triton", CUDA) == "triton"
    assert choose_backend("torch", CUDA) == "torch"
    assert choose_backend("auto", CPU) == "torch"
    assert choose_backend("torch", CPU) == "torch"
    with pytest.raises(ValueError, match="backend is 'triton', but the tensors are on cpu"):
        choose_backend("triton", CPU)


def test_interpreted(interpreted):
    assert choose_backend("triton", CPU) == "triton"
    assert choose_backend("auto", CPU) == "torch"
    assert choose_backend("auto", CUDA) == "torch"
    with pytest.raises(ValueError, match="tensors are on cuda:0.*TRITON_INTERPRET"):
        choose_backend("triton", CUDA)  # the interpreter cannot follow the GPU's addresses
    with pytest.raises(ValueError, match="tensors are on mps"):
        choose_backend("triton", torch.device("mps"))


@pytest.mark.parametrize("value", ["0", "", "false"])
def test_not_interpreted(value, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", value)
    assert choose_backend("auto", CUDA) == "triton"


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_without_triton(device, without_triton):
    assert choose_backend("auto", device) == "torch"
    assert choose_backend("torch", device) == "torch"
    with pytest.raises(ValueError, match="backend is 'triton', but the package triton is not"):
        choose_backend("triton", device)


@pytest.mark.parametrize("backend", ["Triton", "cuda", "", None, True])
def test_unknown(backend):
    with pytest.raises(ValueError, match=f"backend is {backend!r}, expected one of 'auto'"):
        choose_backend(backend, CPU)


def test_functions_without_triton(without_triton):
    head, layers = random_head(2, 24), random_layers((2, 3, 1, 24))
    assert score_candidates(layers, head).shape == (3,)
    for use in (
        lambda: score_candidates(layers, head, backend="triton"),
        lambda: RunningScore(head, 3, backend="triton"),
    ):
        with pytest.raises(ValueError, match="triton is not installed"):
            use()


def test_package_works_where_triton_cannot_be_imported():
    program = """
import sys
sys.modules["triton"] = None  # an import of it fails, as where it is not installed
import torch
from swift_kernels import RewardHead, RunningScore, score_candidates
states = torch.ones(2, 3, 1, 4)
head = RewardHead(2, 4)
running = RunningScore(head, 3)
running.update(states, torch.ones(3, dtype=torch.bool))
assert torch.allclose(running.scores(), score_candidates(states, head))
"""
    paths = f"import sys\nsys.path[:0] = {sys.path!r}\n"
    subprocess.run([sys.executable, "-c", paths + program], check=True, timeout=120)


def test_triton_is_not_imported_before_a_kernel_runs():
    program = """
import torch
from swift_kernels import RewardHead, RunningScore, score_candidates
head = RewardHead(2, 4)
score_candidates(torch.ones(2, 3, 1, 4), head, backend="torch")
RunningScore(head, 3, backend="torch")
assert not any(name.startswith("swift_kernels.fused.") for name in sys.modules)
"""
    paths = f"import sys\nsys.path[:0] = {sys.path!r}\n"
    subprocess.run([sys.executable, "-c", paths + program], check=True, timeout=120)


def test_door_to_triton_has_no_other_names():
    with pytest.raises(AttributeError, match="'swift_kernels.fused' has no attribute 'opss'"):
        fused.opss  # noqa: B018
