"""The language model: loaded, identified, prompted, captured, run once."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.models.identity import UnprovenModelWarning
    from swift_bon.models.loading import load_head, load_model, load_tokenizer
    from swift_bon.models.sampled_weights import fingerprint

__all__ = [
    "UnprovenModelWarning",
    "fingerprint",
    "load_head",
    "load_model",
    "load_tokenizer",
]

_MODULES = {
    "UnprovenModelWarning": "swift_bon.models.identity",
    "fingerprint": "swift_bon.models.sampled_weights",
    "load_head": "swift_bon.models.loading",
    "load_model": "swift_bon.models.loading",
    "load_tokenizer": "swift_bon.models.loading",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
