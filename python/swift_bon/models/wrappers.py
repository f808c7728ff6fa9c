"""What stands around a model: adapters and compiled wrappers, and the model inside of them."""

from typing import Any

from torch._dynamo import OptimizedModule
from transformers import PreTrainedModel


def bare_model(model: Any) -> Any:
    """The Hugging Face model inside of `torch.compile(model)` and of a PEFT model.

    Adapters that PEFT puts into the layers of a model, as LoRA does, stay in them. Anything else
    is returned as it is.
    """
    while not isinstance(model, PreTrainedModel):
        if isinstance(model, OptimizedModule):
            model = model._orig_mod
        elif hasattr(model, "get_base_model"):  # of PEFT, which need not be installed
            model = model.get_base_model()
        else:
            return model
    return model


def uncompiled_model(model: Any) -> Any:
    """The model inside of `torch.compile(model)`, whose `generate` runs that one anyway."""
    while isinstance(model, OptimizedModule):
        model = model._orig_mod
    return model


def _adapter_config(model: Any) -> Any:
    """Of the adapter at work, where PEFT stands around the model; else None."""
    return getattr(uncompiled_model(model), "active_peft_config", None)


def learns_prompts(model: Any) -> bool:
    """Whether PEFT puts learned tokens or keys before each prompt, outside of the bare model."""
    return bool(getattr(_adapter_config(model), "is_prompt_learning", False))


def check_adapter(model: Any) -> None:
    """An adapter that is at work from some token on depends on the call, not on the text alone.

    Raises:
        ValueError: it is an activated LoRA.
    """
    if getattr(_adapter_config(model), "alora_invocation_tokens", None):
        raise ValueError(
            "the adapter is an activated LoRA (aLoRA), which is at work from its invocation tokens "
            "on, so that what is read depends on the call; merge it, or train it as a plain LoRA"
        )
