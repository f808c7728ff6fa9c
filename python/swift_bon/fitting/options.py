"""What a fit depends on, besides its data."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypedDict, get_args

from swift_bon.fitting.losses import DEFAULT_ALPHA, LOSSES, LossName
from swift_kernels.checks import check_choice, check_count, check_flag

LEARNING_RATE = 2.0  # of one number; 0.088 for 512
WEIGHT_DECAY = 0.125  # of one number; 2.8 for 512
Schedule = Literal["cosine", "constant"]
Selection = Literal["loss", "best_of_n"]


class FitArguments(TypedDict, total=False):
    """The options of `train_reward_head` as a caller may write them: those of `FitOptions`."""

    loss: LossName
    alpha: float
    learning_rates: Sequence[float] | None
    seeds: Sequence[int]
    weight_decay: float | None
    schedule: Schedule
    warmup: float
    epochs: int
    patience: int
    batch_size: int
    validation: float
    gated: bool
    layers: Sequence[int] | None
    standardize: bool
    select_by: Selection


@dataclass(frozen=True)
class FitOptions:
    """The options of `train_reward_head`, which says what each means; checked when made."""

    loss: LossName = "bce"
    alpha: float = DEFAULT_ALPHA
    learning_rates: tuple[float, ...] | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    weight_decay: float | None = None
    schedule: Schedule = "cosine"
    warmup: float = 0.05
    epochs: int = 12
    patience: int = 12
    batch_size: int = 256
    validation: float = 0.15
    gated: bool = True
    layers: tuple[int, ...] | None = None
    standardize: bool = True
    select_by: Selection = "loss"

    def __post_init__(self):
        check_choice(self.loss, tuple(LOSSES), "loss")
        check_choice(self.schedule, get_args(Schedule), "schedule")
        check_choice(self.select_by, get_args(Selection), "select_by")
        for name in ("epochs", "patience", "batch_size"):
            check_count(getattr(self, name), name)
        for name in ("gated", "standardize"):
            check_flag(getattr(self, name), name)
        _check_number(self.alpha, "alpha", low=0, is_open=True)
        if self.weight_decay is not None:
            _check_number(self.weight_decay, "weight_decay", low=0)
        _check_number(self.warmup, "warmup", low=0, high=1)
        _check_number(self.validation, "validation", low=0, high=1, is_open=True)
        for name in ("learning_rates", "seeds", "layers"):
            if name == "seeds" or getattr(self, name) is not None:
                object.__setattr__(self, name, _check_sequence(getattr(self, name), name))
        for value in self.learning_rates or ():
            _check_number(value, "learning_rates", low=0, is_open=True)
        for seed in self.seeds:
            if isinstance(seed, bool) or not isinstance(seed, int):
                raise TypeError(f"seeds has {seed!r}, expected ints")

    def for_dim(self, dim: int) -> "FitOptions":
        """With numbers in place of the learning rate and the weight decay that were not given."""
        rates, decay = self.step_sizes(dim)
        return replace(self, learning_rates=rates, weight_decay=decay)

    def step_sizes(self, dim: int) -> tuple[tuple[float, ...], float]:
        """Learning rates and weight decay of heads over D numbers.

        A score is a sum over D standardised numbers, so weights that are to give scores of one size
        go down with its root, and so do the steps. What a step decays, their product, stays; where
        a larger learning rate is given, the weight decay makes room for it.
        """
        rates = self.learning_rates or (LEARNING_RATE * dim**-0.5,)
        decay = self.weight_decay
        if decay is None:
            decay = min(WEIGHT_DECAY * dim**0.5, LEARNING_RATE * WEIGHT_DECAY / max(rates))
        return rates, decay

    def heads(self) -> list[tuple[float, int]]:
        """Learning rate and seed of each head that is fitted; none before `for_dim`."""
        return list(itertools.product(self.learning_rates or (), self.seeds))

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> "FitOptions":
        """TypeError for a name that is not an option."""
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(arguments) - set(names))
        if unknown:
            raise TypeError(f"{unknown[0]} is not an option, expected one of {', '.join(names)}")
        return cls(**arguments)


def _check_sequence(values, name: str) -> tuple:
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise TypeError(f"{name} is {values!r}, expected a list of at least one number")
    if len(set(values)) < len(values):
        raise ValueError(f"{name} is {list(values)}, expected each one once")
    return tuple(values)


def _check_number(value, name: str, *, low: float, high=math.inf, is_open: bool = False) -> None:
    """In [low, high), or (low, high) where it is open."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}, expected a number")
    is_inside = (value > low if is_open else value >= low) and value < high
    if not is_inside:
        above = "above" if is_open else "at least"
        below = f" and below {high}" if high < math.inf else ""
        raise ValueError(f"{name} is {value}, expected {above} {low}{below}")
