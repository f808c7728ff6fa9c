"""Positions that depend on how long the longest text of a batch is."""

from collections.abc import Mapping
from typing import Any

from swift_bon.models.wrappers import bare_model

BY_LENGTH = ("longrope", "dynamic")  # rotary embeddings that change beyond a length


def rope_limit(model: Any) -> float:
    """Tokens up to which a text is read as in any batch; infinite for most models.

    Beyond it these models turn the positions of all texts of a batch otherwise (Phi-3 and
    Phi-4-mini with 128k, NTK): texts on both sides must not stand together.
    """
    config = bare_model(model).config.get_text_config(decoder=True)
    parameters = getattr(config, "rope_parameters", None)
    if not isinstance(parameters, Mapping):
        return float("inf")
    sets = [parameters, *(each for each in parameters.values() if isinstance(each, Mapping))]
    limits = [
        each.get("original_max_position_embeddings")
        or getattr(config, "original_max_position_embeddings", None)
        or config.max_position_embeddings
        for each in sets
        if each.get("rope_type") in BY_LENGTH
    ]
    return min(limits, default=float("inf"))
