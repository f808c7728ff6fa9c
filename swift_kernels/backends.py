"""The one place that knows Triton may be missing."""

import importlib.util
import os
from typing import Literal

import torch

Backend = Literal["auto", "triton", "torch"]
BACKENDS = ("auto", "triton", "torch")


HAS_TRITON = importlib.util.find_spec("triton") is not None


def is_interpreting() -> bool:
    """Whether Triton runs kernels in its interpreter, on CPU tensors (TRITON_INTERPRET=1)."""
    value = os.environ.get("TRITON_INTERPRET", "0").lower()
    return value in ("1", "true", "yes", "on", "y")  # the spellings that Triton takes


def choose_backend(backend: Backend, device: torch.device) -> Literal["triton", "torch"]:
    """Resolve `auto`, and refuse what cannot run.

    Raises:
        ValueError: unknown backend, or Triton asked for where it cannot run.
    """
    if backend not in BACKENDS:
        raise ValueError(
            f"backend is {backend!r}, expected one of {', '.join(map(repr, BACKENDS))}"
        )
    if backend == "torch":
        return "torch"
    # The interpreter reads addresses on the host, so it cannot follow those of a GPU.
    runs_on = "cpu" if is_interpreting() else "cuda"
    can_run = HAS_TRITON and device.type == runs_on
    if backend == "auto":
        return "triton" if can_run and device.type == "cuda" else "torch"
    if not can_run:
        reason = (
            f"the tensors are on {device}" if HAS_TRITON else "the package triton is not installed"
        )
        raise ValueError(
            f"backend is 'triton', but {reason}; it runs on a GPU, or with TRITON_INTERPRET=1 (set "
            "before triton is imported) on a CPU and nowhere else; or pass backend='auto'"
        )
    return "triton"
