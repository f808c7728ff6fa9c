"""All ways to pick as a table, and their accuracy at every k."""

import math
from collections.abc import Sequence

from swift_bon.evaluation.page.emphasis import looks_of, methods_of
from swift_bon.evaluation.page.formats import DASH, escape, finite, interval, p_value, share, signed
from swift_bon.evaluation.page.summary import confidence_of, difference
from swift_bon.evaluation.record_types import Evaluation, accuracy_of

BAR_WIDTH, BAR_HEIGHT = 150, 14


def method_table(record: Evaluation) -> str:
    """Accuracy with its interval, SWIFT's lead, and AUROC; whatever of these the record has."""
    methods = methods_of(record)
    columns = ["way to pick", "accuracy", f"{confidence_of(record):.0%} interval"]
    has_lead = any(difference(record, "swift", method["name"]) for method in methods)
    pooled, within = record.get("auroc", {}), record.get("auroc_within", {})
    columns += ["SWIFT's lead"] * has_lead
    columns += ["AUROC"] * bool(pooled) + ["AUROC within a question"] * bool(within)
    looks = looks_of(record)
    highest = max([_highest(record, method["name"]) for method in methods], default=1.0) or 1.0
    rows = []
    for number, method in enumerate(methods):
        name = method["name"]
        bounds = record.get("intervals", {}).get(name)
        cells = [f"<td><b>{share(accuracy_of(record, name))}</b></td>"]
        bar = _bar(accuracy_of(record, name), bounds, highest)
        cells += [f'<td><div class="bar">{bar}{_range(bounds)}</div></td>']
        if has_lead:
            cells += [f"<td>{_lead(record, name)}</td>"]
        if pooled:
            cells += [f"<td>{share(pooled.get(name))}</td>"]
        if within:
            mean, *bounds = within.get(name) or [math.nan]
            cells += [f"<td>{share(mean)}{_range(bounds)}</td>"]
        rows.append(
            f'<tr data-method="{number}" class="{looks[name]}" tabindex="0"><th scope="row">'
            f"{escape(method['label'])}</th>{''.join(cells)}</tr>"
        )
    table = _table("methods", columns, rows)
    note = '<p class="aside">AUROC: the chance that a right candidate scores higher than a wrong '
    note += "one, over all questions, and within a question.</p>"
    return _section("methods", "All ways to pick", table + note * bool(pooled or within))


def curve_table(record: Evaluation) -> str:
    """A row a method, a column for each k."""
    curves, ks = record.get("curves", {}), record.get("ks", [])
    if not ks or not curves:
        return ""
    unknown = [math.nan] * len(ks)
    rows = []
    for number, method in enumerate(methods_of(record)):
        curve = curves.get(method["name"])
        if curve is None:
            continue
        rows_of = curve["accuracy"], curve.get("low") or unknown, curve.get("high") or unknown
        cells = [
            f"<td>{share(value)}{_range([low, high])}</td>"
            for value, low, high in zip(*rows_of, strict=True)
        ]
        rows.append(
            f'<tr data-method="{number}"><th scope="row">{escape(method["label"])}</th>'
            f"{''.join(cells)}</tr>"
        )
    columns = ["candidates (k)", *(str(k) for k in ks)]
    return _section("every-k", "Accuracy at every k", _table("every-k", columns, rows))


def _section(name: str, heading: str, content: str) -> str:
    return (
        f'<section id="part-{name}" aria-labelledby="{name}-heading">'
        f'<h2 id="{name}-heading">{heading}</h2>{content}</section>'
    )


def _table(name: str, columns: list[str], rows: list[str]) -> str:
    """In a box that scrolls by itself, so that the page does not."""
    heads = "".join(f'<th scope="col">{column}</th>' for column in columns)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{name}-heading">'
        f'<table class="{name}"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _highest(record: Evaluation, name: str) -> float:
    values = [accuracy_of(record, name), *record.get("intervals", {}).get(name, [])]
    return max([finite(value) or 0.0 for value in values])


def _range(bounds: Sequence[float | None] | None) -> str:
    if not bounds or all(finite(bound) is None for bound in bounds):
        return ""
    return f"<small>{interval(bounds)}</small>"


def _bar(value: float | None, bounds: list[float] | None, end: float) -> str:
    """The interval as a line on a scale that all rows share, from 0 to `end`."""
    if finite(value) is None:
        return ""
    places = [value, *(bounds or [])]
    x, *ends = [(finite(place) or 0.0) / end * BAR_WIDTH for place in places]
    line = f'<path class="whisker" d="M{ends[0]:.1f} 7H{ends[1]:.1f}"/>' if ends else ""
    return (
        f'<svg class="interval" viewBox="-4 0 {BAR_WIDTH + 8} {BAR_HEIGHT}" aria-hidden="true">'
        f'<path class="rail" d="M0 7H{BAR_WIDTH}"/>{line}<circle cx="{x:.1f}" cy="7" r="3"/></svg>'
    )


def _lead(record: Evaluation, name: str) -> str:
    lead = difference(record, "swift", name)
    if lead is None or finite(lead.mean) is None:
        return DASH
    inside = interval([lead.low, lead.high], signed) if finite(lead.low) is not None else ""
    small = ", ".join(filter(None, [inside, p_value(lead.p)]))
    return signed(lead.mean) + f"<small>{small}</small>" * bool(small)
