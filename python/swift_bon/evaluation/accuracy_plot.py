"""Accuracy over the number of candidates as a picture file: all ways to pick, with their bands."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swift_bon.evaluation.page.emphasis import banded_of, bounds_of, colour_places, methods_of
from swift_bon.evaluation.page.formats import clean, finite, share
from swift_bon.evaluation.page.frame import is_log
from swift_bon.evaluation.page.labels import short, spread, wrapped
from swift_bon.evaluation.record_types import Curve, Evaluation, MethodName
from swift_bon.plotting import DARK, DASHES, GREY, PALETTE, draw_frame, figure_class
from swift_bon.storage import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, BELOW = 10.5, 6.2, 0.65  # inches: of the picture, and of what is below the plot
LEFT, RIGHT = 0.065, 0.665  # of the plot, as shares of the width
TITLE_HEIGHT, HEAD_HEIGHT = 0.22, 0.5  # of a line of the title, and of all else above the plot
LABEL_HEIGHT, LINE_HEIGHT = 0.205, 0.16  # of a label at the side, and of one more line in it
TITLE_EMS, LABEL_EMS = 50.0, 20.5  # of a line


def plot_accuracy(record: Evaluation, path: str | Path) -> None:
    """Save `draw_accuracy(record)` as PNG. The file is replaced as a whole.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
        ValueError: the record has no curves.
    """
    image = io.BytesIO()
    draw_accuracy(record).savefig(image, format="png")
    write_whole(Path(path), image.getvalue())


def draw_accuracy(record: Evaluation) -> "Figure":
    """A figure of each method's accuracy over k.

    Methods that stand out have a colour and a label at the end of their line, two of them a band;
    a random sample and the oracle are dashed; the others are thin and grey. NaN leaves a gap.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
        ValueError: the record has no curves.
    """
    methods = [m for m in methods_of(record) if m["name"] in record.get("curves", {})]
    if not methods or not record.get("ks"):
        raise ValueError("record has no curves of accuracy over k, expected some to draw")
    places, bounds, banded = colour_places(record), bounds_of(record), banded_of(record)
    named = [method for method in methods if method["name"] in places.keys() | bounds]
    labels = {method["name"]: _label_lines(method) for method in named}
    title = wrapped(_title(record), TITLE_EMS)
    head = HEAD_HEIGHT + TITLE_HEIGHT * len(title)
    height = max(HEIGHT, sum(map(_label_height, labels.values())) + head + BELOW)
    figure = figure_class()(figsize=(WIDTH, height), dpi=150, facecolor="white")
    top, bottom = 1 - head / height, BELOW / height
    figure.subplots_adjust(left=LEFT, right=RIGHT, top=top, bottom=bottom)
    axes = figure.subplots()
    for name in (method["name"] for method in methods):
        colour, width, level = GREY, 0.8, 2
        if name in bounds:
            colour, width, level = DARK, 1.3, 3
        elif name in places:
            colour, width, level = PALETTE[places[name]], 2.0, 4
        if name == "swift":
            width, level = 2.8, 5
        look = {"color": colour, "lw": width, "zorder": level, "label": name}
        look["ls"] = DASHES if name in bounds else "-"
        _draw_curve(axes, record["ks"], record["curves"][name], look, has_band=name in banded)
    _draw_axes(axes, record["ks"])
    _draw_labels(axes, record, labels, places, plot_height=height * (top - bottom))
    text: dict[str, Any] = {"color": DARK, "ha": "left", "parse_math": False}
    above = {"fontsize": 12.5, "weight": "bold", "va": "top", "linespacing": 1.25, **text}
    figure.text(0.012, 1 - 0.16 / height, "\n".join(title), **above)
    subtitle = _subtitle(record, num_grey=len(methods) - len(named))
    figure.text(0.012, 1 - (head - 0.12) / height, subtitle, fontsize=9.5, **text)
    return figure


def _draw_curve(
    axes: "Axes", ks: list[int], curve: Curve, look: dict[str, Any], *, has_band: bool
) -> None:
    if has_band and curve.get("low") and curve.get("high"):
        band = {"color": look["color"], "alpha": 0.15, "lw": 0, "zorder": 1}
        axes.fill_between(ks, _floats(curve["low"]), _floats(curve["high"]), **band)
    marker = "." if len(ks) == 1 else ""  # one k is a point, not a line
    axes.plot(ks, _floats(curve["accuracy"]), marker=marker, **look)


def _floats(values: Sequence[float | None]) -> list[float]:
    """JSON has no NaN: there it is null."""
    return [math.nan if value is None else value for value in values]


def _draw_axes(axes: "Axes", ks: list[int]) -> None:
    if is_log(ks):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.locator_params(axis="x", integer=True, nbins=10, min_n_ticks=1)
    if len(ks) > 1:
        axes.set_xlim(ks[0], ks[-1])
    axes.set_xlabel("candidates of a question (k)", color=DARK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}".removeprefix("0"))
    draw_frame(axes)


def _label_lines(method: MethodName) -> list[str]:
    return wrapped(clean(short(method["label"])), LABEL_EMS)


def _label_height(lines: list[str]) -> float:
    return LABEL_HEIGHT + LINE_HEIGHT * (len(lines) - 1)


def _draw_labels(
    axes: "Axes",
    record: Evaluation,
    labels: dict[str, list[str]],
    places: dict[str, int],
    plot_height: float,
) -> None:
    """At the ends of the lines, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    last = {name: _last_number(record["curves"][name]["accuracy"]) for name in labels}
    ends = {name: number for name, number in last.items() if number is not None}
    heights = [_label_height(labels[name]) / plot_height for name in ends]
    levels = [(end - low) / (high - low) for end in ends.values()]
    spots = spread(levels, heights, 0.01, 0.99)
    for (name, end), level, spot in zip(ends.items(), levels, spots, strict=True):
        colour = PALETTE[places[name]] if name in places else DARK
        line: dict[str, Any] = {
            "color": colour,
            "lw": 0.9,
            "transform": axes.transAxes,
            "clip_on": False,
        }
        axes.plot([1.005, 1.035], [level, spot], **line)
        look: dict[str, Any] = {"color": DARK, "va": "center", "fontsize": 9.5, "parse_math": False}
        look["weight"] = "bold" if name == "swift" else "normal"
        text = f"{share(end)}  " + "\n".join(labels[name])
        axes.text(1.042, spot, text, transform=axes.transAxes, **look)
    axes.set_ylim(low, high)


def _last_number(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if finite(value) is not None), None)


def _title(record: Evaluation) -> str:
    source = record.get("candidates") or {}
    about = " on ".join(str(source[name]) for name in ("model", "task") if source.get(name))
    best = f"best of {record['ks'][-1]}, {record['num_prompts']:,} questions"
    return clean(f"{about}: {best}" if about else best)


def _subtitle(record: Evaluation, num_grey: int) -> str:
    parts = ["share of questions with a right pick"]
    parts += [f"bands: {record.get('confidence', 0.95):.0%} intervals", "dashed: bounds"]
    if num_grey:
        parts += [f"grey: {num_grey} other ways to pick"]
    return "; ".join(parts)
