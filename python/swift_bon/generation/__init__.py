"""Candidates written and scored in one pass."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.generation.best_of import best_of_n
    from swift_bon.generation.decoding import BestOfNDecoding, BestOfNOutput
    from swift_bon.generation.results import BestOfN, Candidate

__all__ = [
    "BestOfN",
    "BestOfNDecoding",
    "BestOfNOutput",
    "Candidate",
    "best_of_n",
]

_MODULES = {
    "BestOfN": "swift_bon.generation.results",
    "BestOfNDecoding": "swift_bon.generation.decoding",
    "BestOfNOutput": "swift_bon.generation.decoding",
    "Candidate": "swift_bon.generation.results",
    "best_of_n": "swift_bon.generation.best_of",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
