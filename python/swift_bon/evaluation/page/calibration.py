"""Whether a score says how likely a candidate is right: reliability diagrams, one a method."""

import math

from swift_bon.evaluation.page.emphasis import looks_of, methods_of
from swift_bon.evaluation.page.formats import escape, finite, share
from swift_bon.evaluation.page.labels import short
from swift_bon.evaluation.record_types import (
    CalibrationBinRecord,
    CalibrationRecord,
    Evaluation,
    MethodName,
)

SIDE, EDGE = 220, 34  # of the square, and the room for its numbers
SMALLEST_DOT, LARGEST_DOT = 2.5, 9.0


def calibration_section(record: Evaluation) -> str:
    """A square a method: what was predicted to the right, what came true upwards."""
    measured = record.get("calibration") or {}
    methods = [method for method in methods_of(record) if method["name"] in measured]
    if not methods:
        return ""
    looks = looks_of(record)
    figures = "".join(
        _figure(method, measured[method["name"]], looks[method["name"]]) for method in methods
    )
    return (
        '<section id="part-calibration" aria-labelledby="calibration-heading">'
        '<h2 id="calibration-heading">Calibration</h2><p class="aside">Candidates in bins by the '
        "probability of being right that their score stands for; a dot is a bin, its area the "
        "number of candidates. On the dashed line it says what comes true.</p>"
        f'<div class="reliabilities">{figures}</div></section>'
    )


def _figure(method: MethodName, measured: CalibrationRecord, look: str) -> str:
    ece, brier = share(measured.get("ece")), share(measured.get("brier"))
    return (
        f'<figure class="{look}"><figcaption><b>{escape(short(method["label"]))}</b>'
        f"<span>ECE {ece}</span><span>Brier {brier}</span>"
        f"</figcaption>{_diagram(method, measured.get('bins') or [])}</figure>"
    )


def _diagram(method: MethodName, bins: list[CalibrationBinRecord]) -> str:
    bins = [one for one in bins if one["count"] and finite(one["probability"]) is not None]
    bins = [one for one in bins if finite(one["accuracy"]) is not None]
    most = max((one["count"] for one in bins), default=1)
    places = [(_x(one["probability"]), _y(one["accuracy"])) for one in bins]
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_radius(one["count"] / most):.1f}"><title>'
        f"{one['count']:,} candidates: predicted {share(one['probability'])}, right "
        f"{share(one['accuracy'])}</title></circle>"
        for one, (x, y) in zip(bins, places, strict=True)
    )
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    numbers = "".join(
        f'<path class="grid" d="M{EDGE} {_y(mark):.1f}H{EDGE + SIDE}"/>'
        f'<text class="tick y" x="{EDGE - 7}" y="{_y(mark) + 4:.1f}">{text}</text>'
        f'<text class="tick" x="{_x(mark):.1f}" y="{SIDE + 26}">{text}</text>'
        for mark, text in ((0.0, "0"), (0.5, ".5"), (1.0, "1"))
    )
    return (
        f'<svg viewBox="0 0 {EDGE + SIDE + 10} {SIDE + 48}" role="img" aria-label="reliability of '
        f'{escape(method["label"])}">{numbers}'
        f'<path class="ideal" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>'
        f'<path class="line" d="{"M" * bool(line)}{line}"/>{dots}'
        f'<text class="tick" x="{_x(0.5)}" y="{SIDE + 44}">predicted</text>'
        f'<text class="tick corner" x="{EDGE + 6}" y="22">came true</text></svg>'
    )


def _x(value: float) -> float:
    return EDGE + value * SIDE


def _y(value: float) -> float:
    return 10 + (1 - value) * SIDE


def _radius(part: float) -> float:
    return max(SMALLEST_DOT, LARGEST_DOT * math.sqrt(part))
