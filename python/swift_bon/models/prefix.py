"""One prefill per prompt: its keys and values are computed once and shared by its candidates."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, GenerationMixin

CACHE_NAMES = ("cache", "past_key_values")
_accepted = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
CACHE_ARGUMENT = next(name for name in CACHE_NAMES if name in _accepted)  # of this version
PER_TOKEN = ("attention_mask", "position_ids")  # arguments `[N, T]`, or None
KNOWN = {*PER_TOKEN, *CACHE_NAMES}
PLAIN = (bool, int, float, str)  # the same for all candidates


@torch.no_grad()
def share_prefill(
    model, input_ids: Tensor, rows: Sequence[int], model_kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    """The arguments of a forward of the last token, once all before it ran once for each prompt.

    The model's own `prepare_inputs_for_generation` makes the inputs, out of the arguments that
    `generate` made. Whether the result is right must be proven: see `proven`.

    Args:
        input_ids: `[N, T]`, left-padded.
        rows: for each candidate the number of its prompt, `[N]`, from 0 on in order.
        model_kwargs: of the model, with an empty cache under `CACHE_ARGUMENT` or none.

    Returns:
        None, with nothing changed, where the prompt is too short or the model keeps no cache.
    """
    length = input_ids.shape[1] - 1
    if length < 1:
        return None
    first = [rows.index(row) for row in sorted(set(rows))]
    kwargs = take_tokens(model_kwargs, first, slice(length))
    inputs = model.prepare_inputs_for_generation(
        input_ids[first, :length], is_first_iteration=True, **kwargs
    )
    cache = find_cache(model(**inputs, return_dict=True))
    if cache is None or cache.get_seq_length() != length:
        return None
    return {**model_kwargs, CACHE_ARGUMENT: repeat_cache(cache, rows, input_ids.device)}


def repeat_cache(cache: Cache, rows: Sequence[int], device: torch.device) -> Cache:
    """The same cache, its rows taken as often as `rows` names them, `[N]`."""
    indices = torch.tensor(rows, dtype=torch.int64, device=device)
    cache.reorder_cache(indices)  # type: ignore[arg-type]  # any int64 tensor will do
    return cache


def take_tokens(
    model_kwargs: Mapping[str, Any], rows: Sequence[int], columns: slice
) -> dict[str, Any]:
    """The arguments for some rows and columns of the input ids."""
    kwargs = dict(model_kwargs)
    for name in PER_TOKEN:
        value = kwargs.get(name)
        if value is not None:  # position ids may be `[3, N, T]`
            kwargs[name] = value[:, rows, columns] if value.dim() == 3 else value[rows, columns]
    return kwargs


def can_share(model, model_kwargs: Mapping[str, Any]) -> bool:
    """Whether `generate` made arguments of text alone, and a cache that grows as it is filled."""
    cache = find_cache(model_kwargs)
    others = (value for name, value in model_kwargs.items() if name not in KNOWN)
    return (
        bool(model_kwargs.get("use_cache"))
        and type(cache) is DynamicCache
        and not cache.offloading
        # a layer of the model's own may keep what the first forward read apart from the rest
        and all(type(layer).__module__ == DynamicCache.__module__ for layer in cache.layers)
        and all(value in (None, {}) or isinstance(value, PLAIN) for value in others)
        and not model._is_stateful
        and model._supports_default_dynamic_cache()
    )


def find_cache(values: Mapping[str, Any]) -> Cache | None:
    """The cache among a model's arguments, or among its outputs."""
    return next((values[name] for name in CACHE_NAMES if values.get(name) is not None), None)
