"""One prefill per prompt: its keys and values are computed once and shared by its candidates."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, GenerationMixin

CACHE_NAMES = ("cache", "past_key_values")
_accepted = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
CACHE_ARGUMENT = next(name for name in CACHE_NAMES if name in _accepted)  # of this version
OWN_CACHE_ARGUMENTS = (*CACHE_NAMES, "cache_implementation", "cache_config", "inputs_embeds")


@torch.no_grad()
def shared_prefix(
    model,
    input_ids: Tensor,
    attention_mask: Tensor,
    rows: list[int],
    generate_kwargs: dict[str, Any],
) -> dict[str, Cache]:
    """The cache for `generate`, by name, holding all of each prompt but its last token.

    Args:
        input_ids, attention_mask: `[P, T]`, left-padded.
        rows: for each candidate the row of its prompt, `[N]`.
        generate_kwargs: where these ask for a cache of their own kind, or none, there is no
            sharing and the result is empty; so it is for models that keep another kind of state.
    """
    config = generate_kwargs.get("generation_config") or model.generation_config
    options = {**config.to_dict(), **generate_kwargs}
    if (
        input_ids.shape[1] < 2
        or len(rows) == len(input_ids)
        or not options.get("use_cache", True)
        or options.get("prefill_chunk_size")
        or any(options.get(name) is not None for name in OWN_CACHE_ARGUMENTS)
        or model._is_stateful
        or not model._supports_default_dynamic_cache()
    ):
        return {}
    mask = attention_mask[:, :-1]
    inputs = {"input_ids": input_ids[:, :-1], "attention_mask": mask, "use_cache": True}
    accepted = inspect.signature(model.forward).parameters
    if "position_ids" in accepted:
        inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
    if "logits_to_keep" in accepted:
        inputs["logits_to_keep"] = 1
    cache = find_cache(model(**inputs, return_dict=True))
    if cache is None:
        return {}
    of_candidates = torch.tensor(rows, device=input_ids.device, dtype=torch.int64)
    cache.reorder_cache(of_candidates)  # type: ignore[arg-type]  # any int64 tensor will do
    return {CACHE_ARGUMENT: cache}


def find_cache(values: Mapping[str, Any]) -> Cache | None:
    """The cache among a model's arguments, or among its outputs."""
    return next((values[name] for name in CACHE_NAMES if values.get(name) is not None), None)
