"""Candidates on disk: sampled and graded, imported, scored once more."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.collection.head_scores import score_with_head
    from swift_bon.collection.reward_models import load_reward_model, score_with_reward_model
    from swift_bon.collection.rollouts import import_rollouts
    from swift_bon.collection.runs import collect

__all__ = [
    "collect",
    "import_rollouts",
    "load_reward_model",
    "score_with_head",
    "score_with_reward_model",
]

_MODULES = {
    "collect": "swift_bon.collection.runs",
    "import_rollouts": "swift_bon.collection.rollouts",
    "load_reward_model": "swift_bon.collection.reward_models",
    "score_with_head": "swift_bon.collection.head_scores",
    "score_with_reward_model": "swift_bon.collection.reward_models",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
