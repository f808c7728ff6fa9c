"""What a candidates file holds: prompts, their candidates, labels and scores."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.candidates.files import iterate_candidates, read_candidates, read_header
    from swift_bon.candidates.records import PromptCandidates, StoredCandidate

__all__ = [
    "PromptCandidates",
    "StoredCandidate",
    "iterate_candidates",
    "read_candidates",
    "read_header",
]

_MODULES = {
    "PromptCandidates": "swift_bon.candidates.records",
    "StoredCandidate": "swift_bon.candidates.records",
    "iterate_candidates": "swift_bon.candidates.files",
    "read_candidates": "swift_bon.candidates.files",
    "read_header": "swift_bon.candidates.files",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
