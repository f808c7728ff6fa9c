"""Accuracy over the number of candidates as a picture file: all ways to pick, with their bands."""

import io
import math
from pathlib import Path
from typing import Any

from swift_bon.evaluation.page.emphasis import banded_of, bounds_of, colours_of, methods_of, spread
from swift_bon.evaluation.page.formats import clean, finite, share, short
from swift_bon.evaluation.page.frame import is_log
from swift_bon.plotting import COLOURS, DARK, DASHES, GREY, figure_class
from swift_bon.storage import write_whole

HEIGHT, LABEL_HEIGHT = 6.2, 0.205  # inches: of the picture, and of one label at its side


def plot_accuracy(record: dict[str, Any], path: str | Path) -> None:
    """Save `draw_accuracy(record)` as PNG. The file is replaced as a whole.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
        ValueError: the record has no curves.
    """
    image = io.BytesIO()
    draw_accuracy(record).savefig(image, format="png")
    write_whole(Path(path), image.getvalue())


def draw_accuracy(record: dict[str, Any]):
    """A `matplotlib.figure.Figure` of each method's accuracy over k.

    Methods that stand out have a colour and a label at the end of their line, two of them a band;
    a random sample and the oracle are dashed; the others are thin and grey. NaN leaves a gap.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
        ValueError: the record has no curves.
    """
    methods = [m for m in methods_of(record) if m["name"] in record.get("curves", {})]
    if not methods or not record.get("ks"):
        raise ValueError("record has no curves of accuracy over k, expected some to draw")
    figure = figure_class()(figsize=(10.5, HEIGHT), dpi=150, facecolor="white")
    figure.subplots_adjust(left=0.065, right=0.7, top=0.885, bottom=0.105)
    axes, colours, bounds = figure.subplots(), colours_of(record), bounds_of(record)
    banded = banded_of(record)
    for name in (method["name"] for method in methods):
        colour, width, level = GREY, 0.8, 2
        if name in bounds:
            colour, width, level = DARK, 1.3, 3
        elif name in colours:
            colour, width, level = COLOURS[colours[name]], 2.0, 4
        if name == "swift":
            width, level = 2.8, 5
        look = {"color": colour, "lw": width, "zorder": level, "label": name}
        look["ls"] = DASHES if name in bounds else "-"
        _draw_curve(axes, record["ks"], record["curves"][name], look, has_band=name in banded)
    _draw_axes(axes, record["ks"])
    named = [method for method in methods if method["name"] in colours.keys() | bounds]
    _draw_labels(axes, record, named, colours)
    text = {"color": DARK, "ha": "left", "parse_math": False}
    figure.text(0.012, 0.945, _title(record), fontsize=12.5, weight="bold", **text)
    subtitle = _subtitle(record, num_grey=len(methods) - len(named))
    figure.text(0.012, 0.905, subtitle, fontsize=9.5, **text)
    return figure


def _draw_curve(
    axes, ks: list[int], curve: dict[str, Any], look: dict[str, Any], *, has_band: bool
) -> None:
    if has_band and curve.get("low") and curve.get("high"):
        band = {"color": look["color"], "alpha": 0.15, "lw": 0, "zorder": 1}
        axes.fill_between(ks, _floats(curve["low"]), _floats(curve["high"]), **band)
    marker = "." if len(ks) == 1 else ""  # one k is a point, not a line
    axes.plot(ks, _floats(curve["accuracy"]), marker=marker, **look)


def _floats(values: list[float | None]) -> list[float]:
    """JSON has no NaN: there it is null."""
    return [math.nan if value is None else value for value in values]


def _draw_axes(axes, ks: list[int]) -> None:
    if is_log(ks):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=10, min_n_ticks=1)
    if len(ks) > 1:
        axes.set_xlim(ks[0], ks[-1])
    axes.set_xlabel("candidates of a question (k)", color=DARK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}".removeprefix("0"))
    axes.grid(axis="y", color="#E6E8EC", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(color=GREY, labelcolor=DARK, labelsize=9)


def _draw_labels(
    axes, record: dict[str, Any], methods: list[dict[str, str]], colours: dict[str, int]
) -> None:
    """At the ends of the lines, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    ends = {m["name"]: _last_number(record["curves"][m["name"]]["accuracy"]) for m in methods}
    methods = [method for method in methods if ends[method["name"]] is not None]
    places = [(ends[method["name"]] - low) / (high - low) for method in methods]
    gap = LABEL_HEIGHT / (HEIGHT * 0.78)  # a label's share of the height of the plot
    for method, place, spot in zip(methods, places, spread(places, gap, 0.01, 0.99), strict=True):
        name = method["name"]
        colour = COLOURS[colours[name]] if name in colours else DARK
        line = {"color": colour, "lw": 0.9, "transform": axes.transAxes, "clip_on": False}
        axes.plot([1.005, 1.035], [place, spot], **line)
        text = f"{share(ends[name])}  {clean(short(method['label'], 32))}"
        look = {"color": DARK, "va": "center", "fontsize": 9.5, "parse_math": False}
        look["weight"] = "bold" if name == "swift" else "normal"
        axes.text(1.042, spot, text, transform=axes.transAxes, **look)
    axes.set_ylim(low, high)


def _last_number(values: list[float | None]) -> float | None:
    return next((value for value in reversed(values) if finite(value) is not None), None)


def _title(record: dict[str, Any]) -> str:
    source = record.get("candidates") or {}
    about = " on ".join(str(source[name]) for name in ("model", "task") if source.get(name))
    best = f"best of {record['ks'][-1]}, {record['num_prompts']:,} questions"
    return clean(f"{about}: {best}" if about else best)


def _subtitle(record: dict[str, Any], num_grey: int) -> str:
    parts = ["share of questions with a right pick"]
    parts += [f"bands: {record.get('confidence', 0.95):.0%} intervals", "dashed: bounds"]
    if num_grey:
        parts += [f"grey: {num_grey} other ways to pick"]
    return "; ".join(parts)
