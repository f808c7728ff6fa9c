"""Checks of what a caller hands over to be scored: each error names what came and what to do."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_kernels.checks import FLOAT_DTYPES, check_count
from swift_kernels.weights import HeadWeights


def check_reads_states(head: HeadWeights) -> None:
    """The head weighs hidden states, and nothing else is scored."""
    if head.feature != "hidden_states":
        raise ValueError(
            f"head reads {head.feature}, which cannot be scored yet: expected a head with "
            "feature='hidden_states'; train one on the model's hidden states"
        )


def check_hidden_states(
    hidden_states: object, head: HeadWeights, name: str = "hidden_states"
) -> tuple[Tensor, ...]:
    """The tensors the head reads, one `[N, T, H]` per selected layer."""
    layers = _as_layers(hidden_states, name, ("N", "T"))
    return _check_layers(layers, head, name, "(N, T, {})", "candidates, tokens")


def check_packed_states(hidden_states: object, head: HeadWeights) -> tuple[Tensor, ...]:
    """The tensors the head reads, `[1, total_tokens, H]` each."""
    layers = _as_layers(hidden_states, "hidden_states", ("total_tokens",))
    layers = _check_layers(layers, head, "hidden_states", "(total_tokens, {})", "tokens")
    return tuple([layer[None] for layer in layers])


def _check_layers(
    layers: tuple[Tensor, ...], head: HeadWeights, name: str, shape_format: str, sizes: str
) -> tuple[Tensor, ...]:
    check_reads_states(head)
    if len(layers) == head.num_layers and head.layers is not None:
        layers = tuple([layers[index] for index in head.layers])
    elif len(layers) != head.num_selected:
        selected = (
            f" or {head.num_selected} (its selected layers)" if head.layers is not None else ""
        )
        raise ValueError(
            f"{name} has {len(layers)} layers, the head expects {head.num_layers}{selected}; "
            "pass outputs.hidden_states of the model the head was trained for, "
            "embedding output included"
        )
    first, device = layers[0], head.reward_weight.device
    shape, dtype = first.shape, first.dtype
    if len(shape) != shape_format.count(",") + 1 or shape[-1] != head.hidden_size:
        raise ValueError(
            f"{name}[0] has shape {tuple(shape)}, expected "
            f"{shape_format.format(head.hidden_size)}: {sizes}, the head's hidden size"
        )
    for index, layer in enumerate(layers):
        if layer.shape != shape:
            raise ValueError(
                f"{name}[{index}] has shape {tuple(layer.shape)}, "
                f"expected {tuple(shape)} {shape_format.format('H')} as in {name}[0]"
            )
        if layer.dtype != dtype or dtype not in FLOAT_DTYPES:
            raise TypeError(
                f"{name}[{index}] has dtype {layer.dtype}, expected one dtype for all layers "
                "out of float32, float16, bfloat16; convert with .to(...)"
            )
        if layer.device != device:
            check_device(layer, device, f"{name}[{index}]")
    return layers


def _as_layers(hidden_states: object, name: str, dims: tuple[str, ...]) -> tuple[Tensor, ...]:
    if isinstance(hidden_states, Tensor):
        if hidden_states.dim() != len(dims) + 2:
            raise ValueError(
                f"{name} is one tensor of shape {tuple(hidden_states.shape)}, expected "
                f"({', '.join(('L', *dims, 'H'))}), or a sequence of L tensors "
                f"({', '.join((*dims, 'H'))})"
            )
        return hidden_states.unbind(0)
    if not isinstance(hidden_states, Sequence) or not all(
        isinstance(layer, Tensor) for layer in hidden_states
    ):
        raise TypeError(
            f"{name} is {type(hidden_states).__name__}, expected a sequence of L tensors "
            f"({', '.join((*dims, 'H'))}) or one tensor ({', '.join(('L', *dims, 'H'))})"
        )
    return tuple(hidden_states)


def check_device(
    tensor: Tensor, expected: torch.device, name: str, owner: str = "the head"
) -> None:
    if tensor.device != expected:
        raise ValueError(
            f"{name} is on {tensor.device}, {owner} on {expected}; move one with .to(device)"
        )


def check_attention_mask(
    attention_mask: object, num_candidates: int, num_tokens: int, device: torch.device
) -> Tensor | None:
    """The mask, bool or integer `[N, T]`, or None where every token is scored."""
    if attention_mask is None:
        return None
    shape, sizes = (num_candidates, num_tokens), "(N, T) as in hidden_states"
    return _check_mask(attention_mask, shape, device, "attention_mask", sizes)


def check_packed_mask(
    attention_mask: object, num_tokens: int, device: torch.device
) -> Tensor | None:
    """The mask, bool or integer `[1, total_tokens]`, or None where every token is scored."""
    if attention_mask is None:
        return None
    sizes = "(total_tokens,) as in hidden_states"
    return _check_mask(attention_mask, (num_tokens,), device, "attention_mask", sizes)[None]


def _check_mask(
    mask: object, shape: tuple[int, ...], device: torch.device, name: str, sizes: str
) -> Tensor:
    if not isinstance(mask, Tensor) or mask.dtype.is_floating_point or mask.dtype.is_complex:
        came = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"{name} is {came}, expected a bool or integer tensor {sizes}")
    if mask.shape != shape:
        raise ValueError(f"{name} has shape {tuple(mask.shape)}, expected {shape} {sizes}")
    check_device(mask, device, name)
    return mask


def check_cu_seqlens(cu_seqlens: object, num_tokens: int, device: torch.device) -> Tensor:
    """Cumulative lengths as contiguous `[N + 1]`.

    Their values are taken on trust where to look at them would make the host wait for a GPU, or
    break a graph of `torch.compile`.
    """
    if not isinstance(cu_seqlens, Tensor) or cu_seqlens.dtype not in (torch.int32, torch.int64):
        came = getattr(cu_seqlens, "dtype", type(cu_seqlens).__name__)
        raise TypeError(f"cu_seqlens is {came}, expected an int32 or int64 tensor (N + 1,)")
    if cu_seqlens.dim() != 1 or len(cu_seqlens) == 0:
        raise ValueError(
            f"cu_seqlens has shape {tuple(cu_seqlens.shape)}, expected (N + 1,): a 0, then the "
            "end of each candidate"
        )
    check_device(cu_seqlens, device, "cu_seqlens")
    if device.type == "cpu" and not torch.compiler.is_compiling():
        lengths = cu_seqlens.diff()
        if cu_seqlens[0] != 0 or cu_seqlens[-1] > num_tokens or (lengths < 0).any():
            falls = f", and falls after number {int((lengths < 0).int().argmax())}"
            raise ValueError(
                f"cu_seqlens goes from {int(cu_seqlens[0])} to {int(cu_seqlens[-1])}"
                f"{falls if (lengths < 0).any() else ''}; expected numbers that start with 0, "
                f"never fall and end with at most {num_tokens}, the tokens in hidden_states"
            )
    return cu_seqlens.contiguous()


def check_active(active: object, num_candidates: int, device: torch.device) -> Tensor:
    """The flags, bool or integer `[N]`."""
    return _check_mask(active, (num_candidates,), device, "active", "(N,)")


def check_step_shape(layers: Sequence[Tensor], num_candidates: int) -> None:
    if layers[0].shape[:2] != (num_candidates, 1):
        raise ValueError(
            f"step_hidden_states[0] has shape {tuple(layers[0].shape)}, expected "
            f"({num_candidates}, 1, {layers[0].shape[-1]}): one token of each candidate"
        )


def check_flat_scores(scores: object, num_return_sequences: int) -> None:
    if not isinstance(scores, Tensor):
        raise TypeError(f"scores is {type(scores).__name__}, expected a tensor (P * N,)")
    check_count(num_return_sequences, "num_return_sequences")
    if scores.dim() != 1 or len(scores) % num_return_sequences:
        raise ValueError(
            f"scores has shape {tuple(scores.shape)}, expected (P * N,) with "
            f"N = num_return_sequences = {num_return_sequences}"
        )
