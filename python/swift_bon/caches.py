"""What transformers calls the keys and values of a text: `cache`, before 5.24 `past_key_values`."""

import inspect
from collections.abc import Mapping
from typing import Any

from transformers import Cache, GenerationMixin

CACHE_NAMES = ("cache", "past_key_values")
_accepted = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
CACHE_ARGUMENT = next(name for name in CACHE_NAMES if name in _accepted)  # of this version


def find_cache(values: Mapping[str, Any]) -> Cache | None:
    """The cache among a model's arguments, or among its outputs."""
    return next((values[name] for name in CACHE_NAMES if values.get(name) is not None), None)
