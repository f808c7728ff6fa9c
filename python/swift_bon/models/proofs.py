"""What running a model has proven about it, once for each state that the model is in."""

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from swift_bon.models.vocabulary import input_device
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


class Asked:
    """A decoding method for `custom_generate` that writes nothing: what does `generate` make?"""

    def __init__(self) -> None:
        self.logits_processors: list[Any] = []
        self.model_kwargs: dict[str, Any] = {}

    def __call__(
        self,
        model: Any,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **model_kwargs: Any,
    ) -> Tensor:
        self.logits_processors = [*logits_processor]
        self.model_kwargs = model_kwargs
        return input_ids


def ask_generate(model: Any) -> Asked:
    """What `generate` makes of two tokens."""
    asked = Asked()
    input_ids = torch.ones(1, 2, dtype=torch.int64, device=input_device(model))
    mask = torch.ones_like(input_ids)
    options: dict[str, Any] = {"num_beams": 1, "min_length": 0, "max_new_tokens": 1}
    options |= {
        "num_return_sequences": 1,
        "stop_strings": None,
    }  # for a configured one `generate` wants a tokenizer
    model.generate(input_ids, attention_mask=mask, custom_generate=asked, **options)
    return asked


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
