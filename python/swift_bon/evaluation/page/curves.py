"""Accuracy over the number of candidates, as a picture inside the page."""

import math
from collections.abc import Sequence
from typing import Any

from swift_bon.evaluation.page.emphasis import banded_of, looks_of, methods_of, spread
from swift_bon.evaluation.page.formats import escape, finite, share, short
from swift_bon.evaluation.page.frame import Frame, draw_axes, draw_curve, ticks

LABEL_GAP = 17.0  # between the baselines of two labels
LEFT, TOP = 40, 12  # room for the numbers at the side, and for half a number above
AXIS_HEIGHT, ROW_HEIGHT = 46, 18  # of the numbers below the plot, and of a row of the legend


def curves_section(record: dict[str, Any]) -> str:
    """The same picture twice: for wide and for narrow screens, as text does not shrink with it."""
    if not record.get("ks") or not record.get("curves"):
        return ""
    note = ""
    if record.get("num_fewer"):
        note = (
            f'<p class="aside">{record["num_fewer"]:,} questions have fewer than '
            f"{record['ks'][-1]} candidates; there a curve takes all they have.</p>"
        )
    wide = draw_curves(record, width=1000, height=430, label_width=270, kind="wide")
    narrow = draw_curves(record, width=360, height=420, label_width=0, kind="narrow")
    return (
        '<section id="part-curves" aria-labelledby="curves-heading"><h2 id="curves-heading">'
        "Accuracy over the number of candidates</h2>"
        '<p class="aside">The share of questions with a right pick. Bands are intervals, dashed '
        "lines bounds; a row of the table below brings out its curve and band.</p>"
        f"<figure>{wide}{narrow}</figure>{note}</section>"
    )


def draw_curves(
    record: dict[str, Any], *, width: int, height: int, label_width: int, kind: str
) -> str:
    """SVG with one group a method, the grey ones below, SWIFT's on top.

    Without room for labels at the side they stand in a list under the plot.
    """
    methods, looks = _drawn_methods(record), looks_of(record)
    curves = {method["name"]: record["curves"][method["name"]] for method in methods}
    values = [value for curve in curves.values() for value in _numbers(curve)]
    marks = ticks(min(values, default=0.0), max(values, default=1.0))
    named = [method for method in methods if looks[method["name"]] != "plain"]
    rows = 0 if label_width else math.ceil(len(named) / 2)
    right, bottom = width - (label_width or 8), height - AXIS_HEIGHT - rows * ROW_HEIGHT
    frame = Frame(LEFT, right, TOP, bottom, record["ks"], marks[0], marks[-1])
    labels = _labels(methods, looks, curves, frame) if label_width else {}
    banded = banded_of(record)
    groups = []
    for method in sorted(methods, key=lambda method: _layer(looks[method["name"]])):
        name = method["name"]
        title = f"<title>{escape(method['label'])}: {share(record[name])}</title>"
        groups.append(
            f'<g class="curve {looks[name]}{" banded" * (name in banded)}" '
            f'data-method="{method["number"]}">{title}{draw_curve(curves[name], frame)}'
            f"{labels.get(name, '')}</g>"
        )
    legend = "" if label_width else _legend(named, looks, bottom + AXIS_HEIGHT, width)
    return (
        f'<svg class="curves {kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="accuracy of each way to pick over the number of candidates">'
        f"{draw_axes(frame, marks)}{''.join(groups)}{legend}</svg>"
    )


def _layer(look: str) -> int:
    """Grey lines below, SWIFT's above all."""
    return {"plain": 0, "bound": 1, "c0": 3}.get(look, 2)


def _drawn_methods(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Those with a curve, and their number in the tables."""
    numbered = [{**method, "number": n} for n, method in enumerate(methods_of(record))]
    return [method for method in numbered if method["name"] in record["curves"]]


def _numbers(curve: dict[str, Any]) -> list[float]:
    rows = (curve["accuracy"], curve.get("low") or [], curve.get("high") or [])
    return [value for row in rows for value in row if finite(value) is not None]


def _labels(
    methods: Sequence[dict[str, Any]],
    looks: dict[str, str],
    curves: dict[str, dict[str, Any]],
    frame: Frame,
) -> dict[str, str]:
    """Name -> the label beside the end of its line. A grey one shows only while brought out."""
    ends = {name: frame.end(curve["accuracy"]) for name, curve in curves.items()}
    ends = {name: end for name, end in ends.items() if end is not None}
    named = [name for name in ends if looks[name] != "plain"]
    spots = spread([ends[name][1] for name in named], LABEL_GAP, frame.top, frame.bottom)
    places = {name: y for name, (_, y) in ends.items()} | dict(zip(named, spots, strict=True))
    labels = {}
    for method in methods:
        name = method["name"]
        if name not in ends:
            continue
        (x, y), spot = ends[name], places[name]
        last = next(v for v in reversed(curves[name]["accuracy"]) if finite(v) is not None)
        labels[name] = (
            f'<path class="leader" d="M{x + 4:.1f} {y:.1f}L{frame.right + 16} {spot:.1f}"/>'
            f'<text class="name" x="{frame.right + 20}" y="{spot + 4:.1f}">'
            f"{share(last)} {escape(short(method['label'], 30))}</text>"
        )
    return labels


def _legend(
    methods: Sequence[dict[str, Any]], looks: dict[str, str], top: float, width: int
) -> str:
    """Two columns under the plot."""
    parts = []
    for number, method in enumerate(methods):
        x, y = 4 + number % 2 * width / 2, top + ROW_HEIGHT * (number // 2) + 8
        parts.append(
            f'<g class="curve {looks[method["name"]]}"><path class="line" d="M{x:.0f} {y:.0f}h16"/>'
            f'<text class="name" x="{x + 21:.0f}" y="{y + 4:.0f}">'
            f"{escape(short(method['label'], 21))}</text></g>"
        )
    return "".join(parts)
