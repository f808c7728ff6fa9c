"""Heads from features."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.fitting.training import train_reward_head

__all__ = [
    "train_reward_head",
]

_MODULES = {
    "train_reward_head": "swift_bon.fitting.training",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
