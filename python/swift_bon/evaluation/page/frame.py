"""The coordinates of a plot of accuracy over k, its axes, and a curve as paths."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from swift_bon.evaluation.page.formats import finite
from swift_bon.evaluation.record_types import Curve

LOG_SCALE_FROM = 16  # times as many candidates: equal steps would crowd the first few
TICK_GAP = 24  # between the middles of two numbers below the plot


class Frame(NamedTuple):
    """Where the plot stands within its picture, and the values at its edges."""

    left: float
    right: float
    top: float
    bottom: float
    ks: Sequence[int]
    low: float
    high: float

    def x(self, k: float) -> float:
        first, last = self.ks[0], self.ks[-1]
        if first == last:
            return (self.left + self.right) / 2
        if is_log(self.ks):
            share = math.log(k / first) / math.log(last / first)
        else:
            share = (k - first) / (last - first)
        return self.left + share * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - self.top)

    def end(self, values: Sequence[float | None]) -> tuple[float, float] | None:
        """The last point of a curve that is a number."""
        for k, value in reversed(list(zip(self.ks, values, strict=True))):
            number = finite(value)
            if number is not None:
                return self.x(k), self.y(number)
        return None


def is_log(ks: Sequence[int]) -> bool:
    return ks[0] > 0 and ks[-1] >= LOG_SCALE_FROM * ks[0]


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers that span `low` to `high`, with about `most` steps between them."""
    span = max(high - low, 0.01)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if span <= most * power * factor)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def draw_axes(frame: Frame, marks: Sequence[float]) -> str:
    """Lines across with their numbers, and the values of k below."""
    parts = []
    for mark in marks:
        y = frame.y(mark)
        number = f"{mark:.2f}".removeprefix("0") if mark < 1 else f"{mark:.1f}"
        parts.append(
            f'<path class="grid" d="M{frame.left} {y:.1f}H{frame.right}"/>'
            f'<text class="tick y" x="{frame.left - 8}" y="{y + 4:.1f}">{number}</text>'
        )
    taken = math.inf  # from the right: the largest k is always named
    for k in reversed(frame.ks):
        x = frame.x(k)
        if taken - x >= TICK_GAP:
            taken = x
            parts.append(f'<text class="tick" x="{x:.1f}" y="{frame.bottom + 18}">{k}</text>')
    middle = (frame.left + frame.right) / 2
    title = "candidates of a question (k)" + ", log scale" * is_log(frame.ks)
    parts.append(f'<text class="tick" x="{middle:.1f}" y="{frame.bottom + 37}">{title}</text>')
    return "".join(parts)


def draw_curve(curve: Curve, frame: Frame) -> str:
    """Band, line, and the end as a dot. NaN leaves a gap."""
    end = frame.end(curve["accuracy"])
    if end is None:
        return ""
    line = "".join("M" + "L".join(points) for points in _runs(curve["accuracy"], frame))
    return (
        f'<path class="band" d="{_band(curve, frame)}"/><path class="line" d="{line}"/>'
        f'<path class="touch" d="{line}"/>'
        f'<circle class="dot" cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="3"/>'
    )


def _band(curve: Curve, frame: Frame) -> str:
    lows, highs = curve.get("low") or [], curve.get("high") or []
    if not lows or not highs:
        return ""
    there: list[float | None] = []
    back: list[float | None] = []  # NaN in one of the two leaves a gap in both
    for low, high in zip(lows, highs, strict=True):
        is_whole = finite(low) is not None and finite(high) is not None
        there.append(high if is_whole else None)
        back.append(low if is_whole else None)
    runs = zip(_runs(there, frame), _runs(back, frame), strict=True)
    return "".join(f"M{'L'.join([*top, *reversed(bottom)])}Z" for top, bottom in runs)


def _runs(values: Sequence[float | None], frame: Frame) -> list[list[str]]:
    """The points of each stretch of numbers."""
    runs: list[list[str]] = [[]]
    for k, value in zip(frame.ks, values, strict=True):
        number = finite(value)
        if number is None:
            runs.append([])
        else:
            runs[-1].append(f"{frame.x(k):.1f} {frame.y(number):.1f}")
    return [run for run in runs if run]
