"""The inputs of the score's benchmark, and the forms that are timed against each other."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from measuring.oracle import ModelShape, random_layers
from peers.eager_head import (
    EagerHead,
    PerLayerHead,
    SplitHead,
    compiled_per_layer,
    float_matmul,
    float_sum,
)
from swift_kernels import RewardHead, score_candidates

OURS = "swift_kernels"
COMPILED = {"compiled_sum": float_sum, "compiled_matmul": float_matmul}


class Case(NamedTuple):
    shape: ModelShape
    num_candidates: int
    num_tokens: int
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        """Of the hidden states: what must be read at least."""
        tokens = self.num_candidates * self.num_tokens
        return self.shape.num_layers * tokens * self.shape.hidden_size * self.dtype.itemsize

    def layers(self, device: torch.device) -> list[Tensor]:
        size = (self.num_candidates, self.num_tokens, self.shape.hidden_size)
        return random_layers(self.shape.num_layers, size, self.dtype, device)

    def label(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{self.shape.name}, {dtype}, {self.num_candidates} x {self.num_tokens}"

    def describe(self) -> dict:
        return {
            "shape": self.shape.name,
            "num_layers": self.shape.num_layers,
            "hidden_size": self.shape.hidden_size,
            "num_candidates": self.num_candidates,
            "num_tokens": self.num_tokens,
            "dtype": str(self.dtype).removeprefix("torch."),
            "megabytes": round(self.num_bytes / 1e6, 1),
        }


class NotCompiled(RuntimeError):
    """The time for compiling peers is used up."""


class CompileBudget:
    """Seconds left for compiling peers: what they take cannot be known beforehand."""

    def __init__(self, seconds: float):
        self.seconds = seconds


class CompiledForm:
    """A peer that compiles when first called, and again when it must; the time is charged."""

    def __init__(self, function: Callable[..., Tensor], budget: CompileBudget):
        self.function = function
        self.budget = budget
        self.is_started = False

    def __call__(self, *arguments) -> Tensor:
        if not self.is_started and self.budget.seconds <= 0:
            raise NotCompiled("the time for compiling peers was used up")
        self.is_started = True
        started = time.perf_counter()
        try:
            return self.function(*arguments)
        finally:
            self.budget.seconds -= time.perf_counter() - started


Form = Callable[[Sequence[Tensor], Tensor | None], Tensor]


def eager_forms(head: RewardHead, dtype: torch.dtype) -> dict[str, Form]:
    """Ours first, then the peers that this device can run without compiling."""
    forms: dict[str, Form] = {
        OURS: lambda layers, mask=None: score_candidates(layers, head, mask),
        "eager": EagerHead(head).requires_grad_(False),
        "per_layer": PerLayerHead(head).requires_grad_(False),
    }
    if head.reward_weight.is_cuda and dtype != torch.float32:
        forms["per_layer_split"] = SplitHead(head, dtype).requires_grad_(False)
    return forms


def compiled_forms(head: RewardHead, budget: CompileBudget, *, dynamic: bool) -> dict[str, Form]:
    """The strongest peers; `dynamic` compiles once for all N and T."""
    torch.compiler.reset()  # or the limit of recompilations counts the last head too
    return {
        name: CompiledForm(compiled_per_layer(head, project, dynamic=dynamic), budget)
        for name, project in COMPILED.items()
    }
