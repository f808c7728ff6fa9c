"""Every input check of the package. Each error names what came, what was expected, what to do."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from swift_kernels.head import RewardHead

FLOAT_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SCORED_TOKENS = ("fed", "response")
FEATURES = ("hidden_states", "logits")


def check_hidden_states(
    hidden_states, head: "RewardHead", name: str = "hidden_states"
) -> tuple[Tensor, ...]:
    """The tensors the head reads, one `[N, T, H]` per selected layer."""
    layers = _as_layers(hidden_states, name)
    if len(layers) == head.num_layers and head.layers is not None:
        layers = tuple(layers[index] for index in head.layers)
    elif len(layers) != head.num_selected:
        selected = (
            f" or {head.num_selected} (its selected layers)" if head.layers is not None else ""
        )
        raise ValueError(
            f"{name} has {len(layers)} layers, the head expects {head.num_layers}{selected}; "
            "pass outputs.hidden_states of the model the head was trained for, "
            "embedding output included"
        )
    shape = layers[0].shape
    if len(shape) != 3 or shape[-1] != head.hidden_size:
        raise ValueError(
            f"{name}[0] has shape {tuple(shape)}, expected (N, T, {head.hidden_size}): "
            "candidates, tokens, the head's hidden size"
        )
    for index, layer in enumerate(layers):
        if layer.shape != shape:
            raise ValueError(
                f"{name}[{index}] has shape {tuple(layer.shape)}, "
                f"expected {tuple(shape)} (N, T, H) as in {name}[0]"
            )
        if layer.dtype != layers[0].dtype or layer.dtype not in FLOAT_DTYPES:
            raise TypeError(
                f"{name}[{index}] has dtype {layer.dtype}, expected one dtype for all layers "
                "out of float32, float16, bfloat16; convert with .to(...)"
            )
        check_device(layer, head.reward_weight.device, f"{name}[{index}]")
    return layers


def _as_layers(hidden_states, name: str) -> tuple[Tensor, ...]:
    if isinstance(hidden_states, Tensor):
        if hidden_states.dim() != 4:
            raise ValueError(
                f"{name} is one tensor of shape {tuple(hidden_states.shape)}, expected "
                "(L, N, T, H), or a sequence of L tensors (N, T, H)"
            )
        return hidden_states.unbind(0)
    if not isinstance(hidden_states, Sequence) or not all(
        isinstance(layer, Tensor) for layer in hidden_states
    ):
        raise TypeError(
            f"{name} is {type(hidden_states).__name__}, expected a sequence of L tensors "
            "(N, T, H) or one tensor (L, N, T, H)"
        )
    return tuple(hidden_states)


def check_device(tensor: Tensor, expected: torch.device, name: str) -> None:
    if tensor.device != expected:
        raise ValueError(
            f"{name} is on {tensor.device}, the head on {expected}; move one with .to(device)"
        )


def check_attention_mask(attention_mask, num_candidates: int, num_tokens: int, device):
    """The mask as bool `[N, T]`, or None where every token is scored."""
    if attention_mask is None:
        return None
    if not isinstance(attention_mask, Tensor) or attention_mask.dtype.is_floating_point:
        came = getattr(attention_mask, "dtype", type(attention_mask).__name__)
        raise TypeError(f"attention_mask is {came}, expected a bool or integer tensor (N, T)")
    if attention_mask.shape != (num_candidates, num_tokens):
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}, expected "
            f"({num_candidates}, {num_tokens}) (N, T) as in hidden_states"
        )
    check_device(attention_mask, device, "attention_mask")
    return attention_mask if attention_mask.dtype == torch.bool else attention_mask != 0


def check_active(active, num_candidates: int, device: torch.device) -> Tensor:
    if not isinstance(active, Tensor) or active.dtype.is_floating_point:
        came = getattr(active, "dtype", type(active).__name__)
        raise TypeError(f"active is {came}, expected a bool or integer tensor (N,)")
    if active.shape != (num_candidates,):
        raise ValueError(
            f"active has shape {tuple(active.shape)}, expected ({num_candidates},) (N,)"
        )
    check_device(active, device, "active")
    return active if active.dtype == torch.bool else active != 0


def check_step_shape(layers: Sequence[Tensor], num_candidates: int) -> None:
    if layers[0].shape[:2] != (num_candidates, 1):
        raise ValueError(
            f"step_hidden_states[0] has shape {tuple(layers[0].shape)}, expected "
            f"({num_candidates}, 1, {layers[0].shape[-1]}): one token of each candidate"
        )


def check_flat_scores(scores, num_return_sequences: int) -> None:
    if not isinstance(scores, Tensor):
        raise TypeError(f"scores is {type(scores).__name__}, expected a tensor (P * N,)")
    check_count(num_return_sequences, "num_return_sequences")
    if scores.dim() != 1 or len(scores) % num_return_sequences:
        raise ValueError(
            f"scores has shape {tuple(scores.shape)}, expected (P * N,) with "
            f"N = num_return_sequences = {num_return_sequences}"
        )


def check_count(value, name: str) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}, expected an int of at least 1")
    if value < 1:
        raise ValueError(f"{name} is {value}, expected at least 1")
    return value


def check_flag(value, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected True or False")
    return value


def check_choice(value, choices: Sequence[str], name: str) -> str:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, choices))}")
    return value


def check_layers(layers, num_layers: int) -> tuple[int, ...] | None:
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


def check_tensors(tensors: dict[str, Tensor], expected: dict[str, tuple[int, ...]], path) -> None:
    """Names, shapes and dtypes of a checkpoint's tensors, and that every value is finite."""
    if tensors.keys() != expected.keys():
        raise ValueError(f"{path} holds the tensors {sorted(tensors)}, expected {sorted(expected)}")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(
                f"{name} in {path} has shape {tuple(tensors[name].shape)}, expected {shape}"
            )
        if tensors[name].dtype not in (*FLOAT_DTYPES, torch.float64):
            raise ValueError(f"{name} in {path} has dtype {tensors[name].dtype}, expected float32")
        if not tensors[name].isfinite().all():
            raise ValueError(f"{name} in {path} holds NaN or inf; the file is damaged")
