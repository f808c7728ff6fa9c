"""What a model computes with, besides its weights: a change of it makes proofs of it void."""

import weakref
from collections.abc import Hashable
from typing import Any

from swift_bon.models.wrappers import bare_model, learns_prompts


def model_state(model: Any) -> tuple[Hashable, ...]:
    """Equal as long as nobody replaces a part of the model, or switches its mode.

    Parts are held weakly: what was replaced is gone, and equal to nothing that comes after it.
    Hooks do not count, as most of them only look on.
    """
    bare = bare_model(model)
    return (
        bare.dtype,
        getattr(bare.config, "_attn_implementation", None),
        learns_prompts(model),
        _mark(bare.prepare_inputs_for_generation),
        *(
            (
                type(module),
                module.training,
                _mark(type(module).forward),
                _mark(module.__dict__.get("forward")),
            )
            for module in model.modules()
        ),
    )


def _mark(function: Any) -> Hashable:
    """A function, or a method and whose it is; methods are made anew each time they are asked."""
    parts = (getattr(function, "__func__", function), getattr(function, "__self__", None))
    return tuple(None if part is None else _reference(part) for part in parts)


def _reference(part: Any) -> Hashable:
    try:
        return weakref.ref(part)
    except TypeError:  # of C, which is never replaced by another one in the same place
        return id(part)
