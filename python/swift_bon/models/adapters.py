"""Adapters that peft trained, on the model they were trained for."""

from typing import Any

from transformers import PreTrainedModel


def load_adapter(model: PreTrainedModel, path: str) -> Any:
    """The model with the adapter of a folder or a hub id, in evaluation mode.

    Raises:
        ModuleNotFoundError: peft is not installed.
        ValueError, OSError: no adapter there (from peft).
    """
    try:
        from peft import PeftModel  # models without an adapter do without it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the adapter {path!r} needs peft, which is not installed; run: pip install peft",
            name=error.name,
        ) from error
    return PeftModel.from_pretrained(model, path).eval()
