"""What running a model has proven about it, once for each state that the model is in."""

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from swift_bon.models.model_state import model_state
from swift_bon.models.vocabulary import input_device
from swift_bon.models.wrappers import bare_model

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
# Options of `generate` for a proof, whatever the model is configured for
PLAINLY: dict[str, Any] = {
    "num_beams": 1,
    "num_return_sequences": 1,
    "min_length": 0,
    "pad_token_id": 0,
    "stop_strings": None,  # for a configured one it wants a tokenizer
}
ROUNDING = 1e-2  # of the spread: two ways of one computation differ by less, others by more

KEPT = 4  # proofs of one kind for each model: as many states as somebody switches between

_proofs: "weakref.WeakKeyDictionary[nn.Module, dict[str, list[tuple[Any, Any]]]]" = (
    weakref.WeakKeyDictionary()
)


def proven(model: Any, prove: Callable[[Any], Proof]) -> Proof:
    """What `prove` says of a model, asked again once the model was wrapped or switched."""
    known = _proofs.setdefault(bare_model(model), {}).setdefault(prove.__qualname__, [])
    state = model_state(model)
    for earlier, proof in [*known]:
        if earlier == state:
            return proof
    proof = prove(model)  # without a lock: two threads may prove the same, and find the same
    known[:] = [(state, proof), *known[: KEPT - 1]]
    return proof


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
    options = {**PLAINLY, "custom_generate": asked, "max_new_tokens": 1}
    model.generate(input_ids, attention_mask=mask, **options)
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
