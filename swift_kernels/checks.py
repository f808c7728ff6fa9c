"""Checks of arguments. Each error names what came, what was expected, what to do."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

FLOAT_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SCORED_TOKENS = ("fed", "response")
FEATURES = ("hidden_states", "logits")


def check_count(value: object, name: str) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}, expected an int of at least 1")
    if value < 1:
        raise ValueError(f"{name} is {value}, expected at least 1")
    return value


def check_flag(value: object, name: str) -> bool:
    """True or False, and nothing that only counts as one."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected True or False")
    return value


def check_choice(value: str, choices: Sequence[str], name: str) -> str:
    """One of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, choices))}")
    return value


def check_text(value: str | None, name: str) -> str | None:
    """Text, or None."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}, expected a string or None")
    return value


def check_layers(layers: object, num_layers: int) -> tuple[int, ...] | None:
    """Selected layers as ascending indices into the model's `num_layers` hidden states."""
    if layers is None:
        return None
    if not isinstance(layers, Iterable):
        raise TypeError(f"layers is {layers!r}, expected ascending indices, or None for all layers")
    indices = tuple(layers)
    if any(isinstance(index, bool) or not isinstance(index, int) for index in indices):
        raise TypeError(f"layers is {indices!r}, expected ints")
    if not indices or sorted(set(indices)) != list(indices):
        raise ValueError(f"layers is {list(indices)}, expected ascending indices, each once")
    if indices[0] < 0 or indices[-1] >= num_layers:
        raise ValueError(
            f"layers is {list(indices)}, expected indices from 0 to {num_layers - 1} "
            f"(num_layers is {num_layers}, embedding output included)"
        )
    return indices


def check_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], path: str | Path
) -> None:
    """Names, shapes and dtypes of a checkpoint's tensors, and that every value is finite."""
    if tensors.keys() != expected.keys():
        names = sorted(map(str, tensors))
        raise ValueError(f"{path} holds the tensors {names}, expected {sorted(expected)}")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(
                f"{name} in {path} has shape {tuple(tensors[name].shape)}, expected {shape}"
            )
        if tensors[name].dtype not in (*FLOAT_DTYPES, torch.float64):
            raise ValueError(f"{name} in {path} has dtype {tensors[name].dtype}, expected float32")
        if tensors[name].layout != torch.strided or tensors[name].is_meta:
            raise ValueError(f"{name} in {path} is sparse or has no values, expected all of them")
        if not tensors[name].isfinite().all():
            raise ValueError(f"{name} in {path} holds NaN or inf, expected finite numbers")
