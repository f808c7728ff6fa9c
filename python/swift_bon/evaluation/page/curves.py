"""Accuracy over the number of candidates, as a picture inside the page."""

from typing import NamedTuple

from swift_bon.evaluation.page.emphasis import banded_of, looks_of, methods_of
from swift_bon.evaluation.page.formats import escape, finite, share
from swift_bon.evaluation.page.frame import Frame, draw_axes, draw_curve, ticks
from swift_bon.evaluation.page.labels import short, spread, wrapped
from swift_bon.evaluation.record_types import Curve, Evaluation

LABEL_EMS = 20.5  # of a line: "SWIFT + log-probability, by scaling" is one
LABEL_WIDTH = 310  # of such a line, its number and the way from the curve
LABEL_GAP, LINE_HEIGHT = 17.0, 15.0  # between two labels, and between two lines of one
LEFT, TOP = 40, 12  # room for the numbers at the side, and for half a number above
AXIS_HEIGHT = 46  # of the numbers below the plot


class DrawnMethod(NamedTuple):
    """A method that has a curve."""

    number: int  # in the tables
    name: str
    label: str
    look: str
    curve: Curve


def curves_section(record: Evaluation) -> str:
    """The same picture twice: for wide and for narrow screens, as text does not shrink with it."""
    if not record.get("ks") or not record.get("curves"):
        return ""
    note = ""
    if record.get("num_fewer"):
        note = (
            f'<p class="aside">{record["num_fewer"]:,} questions have fewer than '
            f"{record['ks'][-1]} candidates; there a curve takes all they have.</p>"
        )
    wide = draw_curves(record, width=1000, height=430, label_width=LABEL_WIDTH, kind="wide")
    narrow = draw_curves(record, width=360, height=330, label_width=0, kind="narrow")
    return (
        '<section id="part-curves" aria-labelledby="curves-heading"><h2 id="curves-heading">'
        "Accuracy over the number of candidates</h2>"
        '<p class="aside">The share of questions with a right pick. Bands are intervals, dashed '
        "lines bounds; a row of the table below brings out its curve and band.</p>"
        f"<figure>{wide}{narrow}{_key(drawn_methods(record))}</figure>{note}</section>"
    )


def drawn_methods(record: Evaluation) -> list[DrawnMethod]:
    """In the order of the tables."""
    looks, curves = looks_of(record), record["curves"]
    return [
        DrawnMethod(number, method["name"], method["label"], looks[method["name"]], curve)
        for number, method in enumerate(methods_of(record))
        if (curve := curves.get(method["name"])) is not None
    ]


def draw_curves(record: Evaluation, *, width: int, height: int, label_width: int, kind: str) -> str:
    """SVG with one group a method, the grey ones below, SWIFT's on top.

    Without room for labels at the side they stand in a list under the plot.
    """
    methods = drawn_methods(record)
    lines = {m.name: _label_lines(m) for m in methods if label_width}
    needed = sum(_label_height(lines[m.name]) for m in methods if lines and m.look != "plain")
    height = max(height, round(needed) + TOP + AXIS_HEIGHT)  # very long names take several lines
    values = [value for method in methods for value in _numbers(method.curve)]
    marks = ticks(min(values, default=0.0), max(values, default=1.0))
    right, bottom = width - (label_width or 8), height - AXIS_HEIGHT
    frame = Frame(LEFT, right, TOP, bottom, record["ks"], marks[0], marks[-1])
    labels = _labels(methods, lines, frame) if label_width else {}
    banded = banded_of(record)
    groups = []
    for method in sorted(methods, key=lambda method: _layer(method.look)):
        groups.append(
            f'<g class="curve {method.look}{" banded" * (method.name in banded)}" '
            f'data-method="{method.number}"><title>{_title(method)}</title>'
            f"{draw_curve(method.curve, frame)}{labels.get(method.name, '')}</g>"
        )
    return (
        f'<svg class="curves {kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="accuracy of each way to pick over the number of candidates">'
        f"{draw_axes(frame, marks)}{''.join(groups)}</svg>"
    )


def _title(method: DrawnMethod) -> str:
    return f"{escape(method.label)}: {share(_last(method.curve))}"


def _layer(look: str) -> int:
    """Grey lines below, SWIFT's above all."""
    return {"plain": 0, "bound": 1, "c0": 3}.get(look, 2)


def _numbers(curve: Curve) -> list[float]:
    rows = (curve["accuracy"], curve.get("low") or [], curve.get("high") or [])
    return [value for row in rows for value in row if finite(value) is not None]


def _last(curve: Curve) -> float | None:
    return next((v for v in reversed(curve["accuracy"]) if finite(v) is not None), None)


def _label_lines(method: DrawnMethod) -> list[str]:
    return wrapped(short(method.label), LABEL_EMS)


def _label_height(lines: list[str]) -> float:
    return LABEL_GAP + LINE_HEIGHT * (len(lines) - 1)


def _labels(
    methods: list[DrawnMethod], lines: dict[str, list[str]], frame: Frame
) -> dict[str, str]:
    """Name -> the label beside the end of its line. A grey one shows only while brought out."""
    ended = [(method, end) for method in methods if (end := frame.end(method.curve["accuracy"]))]
    named = [(method.name, y) for method, (_, y) in ended if method.look != "plain"]
    heights = [_label_height(lines[name]) for name, _ in named]
    spots = spread([y for _, y in named], heights, frame.top, frame.bottom)
    places = {method.name: y for method, (_, y) in ended}
    places |= dict(zip([name for name, _ in named], spots, strict=True))
    return {
        method.name: _label(method, lines[method.name], end, places[method.name], frame.right)
        for method, end in ended
    }


def _label(
    method: DrawnMethod, lines: list[str], end: tuple[float, float], spot: float, right: float
) -> str:
    x, y = end
    first, *others = lines
    start = spot + 4 - LINE_HEIGHT / 2 * len(others)  # the baseline of the first line
    rest = "".join(
        f'<tspan x="{right + 20}" dy="{LINE_HEIGHT}">{escape(line)}</tspan>' for line in others
    )
    return (
        f'<path class="leader" d="M{x + 4:.1f} {y:.1f}L{right + 16} {spot:.1f}"/>'
        f'<text class="name" x="{right + 20}" y="{start:.1f}">'
        f"{share(_last(method.curve))} {escape(first)}{rest}</text>"
    )


def _key(methods: list[DrawnMethod]) -> str:
    """The labels of the narrow picture, below it: there they wrap as they need."""
    items = "".join(
        f'<li class="{method.look}"><span>{share(_last(method.curve))}</span> '
        f"{escape(short(method.label))}</li>"
        for method in methods
        if method.look != "plain"
    )
    return f'<ul class="key" aria-label="lines of the plot">{items}</ul>'
