"""The language model: loaded, identified, prompted, captured, run once."""

from swift_bon.models.loading import load_head, load_model, load_tokenizer

__all__ = ["load_head", "load_model", "load_tokenizer"]
