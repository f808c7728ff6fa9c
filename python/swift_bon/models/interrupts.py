"""What we change on somebody else's object is as it was before, whenever Ctrl-C comes."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn

Result = TypeVar("Result")


def run_and_restore(run: Callable[[], Result], restore: Callable[[], None]) -> Result:
    """What `run` gives, which makes the changes; `restore` takes them back.

    Args:
        restore: called twice, as an interrupt may cut the first call off.
    """
    try:
        try:
            return run()
        finally:
            restore()
    finally:
        restore()


def in_evaluation_mode(model: nn.Module, run: Callable[[], Result]) -> Result:
    """What `run` gives; every part of the model is in its own mode again afterwards."""
    training = [module for module in model.modules() if module.training]

    def evaluate() -> Result:
        for module in training:
            module.training = False
        return run()

    def restore() -> None:
        for module in training:
            module.training = True

    return run_and_restore(evaluate, restore)
