"""What running a model has proven about it, once for each state that the model is in."""

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from swift_bon.models.wrappers import bare_model, learns_prompts

Proof = TypeVar("Proof")

# What a model may raise in a proof, which then has failed; the call it was for says why
MODEL_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
ROUNDING = 1e-2  # of the spread: two ways of one computation differ by less, others by more

_proofs: "weakref.WeakKeyDictionary[nn.Module, dict[Hashable, Any]]" = weakref.WeakKeyDictionary()
_lock = threading.RLock()


def proven(model: Any, prove: Callable[[Any], Proof]) -> Proof:
    """What `prove` says of a model, asked again once the model was wrapped or switched."""
    key = (prove.__qualname__, _state(model))
    with _lock:
        known = _proofs.setdefault(bare_model(model), {})
        if key not in known:
            known[key] = prove(model)
        return known[key]


def _state(model: Any) -> Hashable:
    modules = [
        (id(type(module)), id(module.__dict__.get("forward")), module.training)
        for module in model.modules()
    ]
    bare = bare_model(model)
    attention = getattr(bare.config, "_attn_implementation", None)
    return hash(tuple(modules)), bare.dtype, attention, learns_prompts(model)


def agree(values: Tensor, others: Tensor, dtype: torch.dtype) -> bool:
    """Whether two ways of one computation gave the same but for rounding, row by row.

    Args:
        values, others: `[..., H]`.
        dtype: of the model.
    """
    if values.shape != others.shape:
        return False
    values, others = values.double(), others.to(values.device).double()
    spread = (others - others.mean(dim=-1, keepdim=True)).norm(dim=-1)
    allowed = max(ROUNDING, torch.finfo(dtype).eps ** 0.5)
    return bool(((values - others).norm(dim=-1) <= allowed * spread).all())
