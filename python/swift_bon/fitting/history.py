"""How a fit fared epoch by epoch: which epoch is its best, when it is done, which fit is chosen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from swift_bon.fitting.options import FitOptions


@dataclass
class Fit:
    """One head: its best epoch (from 0), and how the validation prompts fared in each."""

    learning_rate: float
    seed: int
    history: list[dict[str, float]] = field(default_factory=list)
    epoch: int = -1
    is_stopped: bool = False

    def best(self) -> dict[str, float]:
        return self.history[self.epoch]

    def add(self, metrics: dict[str, float], options: FitOptions) -> bool:
        """Take the metrics of the next epoch; whether it is the best so far."""
        self.history.append(metrics)
        if not math.isfinite(metrics["loss"]):
            self.is_stopped = True
        if self.is_stopped:
            return False
        is_better = self.epoch < 0 or _rank(metrics, options) > _rank(self.best(), options)
        if is_better:
            self.epoch = len(self.history) - 1
        elif len(self.history) - 1 - self.epoch >= options.patience:
            self.is_stopped = True
        return is_better


def _rank(metrics: dict[str, float], options: FitOptions) -> tuple[float, ...]:
    """Higher is better. Best-of-N moves in steps, so the loss decides between equals."""
    if options.select_by == "best_of_n":
        return metrics["best_of_n"], -metrics["loss"]
    return (-metrics["loss"],)


def choose_fit(fits: Sequence[Fit], options: FitOptions) -> int:
    """The best of several heads, by what their epochs were chosen by."""
    usable = [index for index, fit in enumerate(fits) if fit.epoch >= 0]
    return max(usable, key=lambda index: _rank(fits[index].best(), options))
