"""Which methods stand out in a picture of many, and where their labels stand."""

from collections.abc import Sequence
from typing import Any

from swift_bon.candidates.score_names import label
from swift_bon.evaluation.page.formats import finite

# A method keeps its colour from one picture to the next: a position in fit_report.COLOURS.
NAMED = {"swift": 0, "mean_logprob": 1, "majority_vote": 2, "swift_vote": 3}
BEST_OF_FAMILY = {"combination": 4, "reward": 5}
BANDED = ("swift", "mean_logprob")


def methods_of(record: dict[str, Any]) -> list[dict[str, str]]:
    """Name, label and family of each method, in the order of the tables."""
    found = record.get("methods") or [{"name": name} for name in record.get("curves", {})]
    return [
        {"label": label(method["name"]), "family": "free", **method}
        for method in found
        if method["name"] in record
    ]


def colours_of(record: dict[str, Any]) -> dict[str, int]:
    """Methods that stand out, with the position of their colour. Of a family its best one."""
    methods = methods_of(record)
    colours = {m["name"]: NAMED[m["name"]] for m in methods if m["name"] in NAMED}
    for family, colour in BEST_OF_FAMILY.items():
        best = best_of(record, [m["name"] for m in methods if m["family"] == family])
        if best is not None:
            colours[best] = colour
    return colours


def best_of(record: dict[str, Any], names: Sequence[str]) -> str | None:
    """The name with the highest accuracy, of equal ones the first; None where none has one."""
    names = [name for name in names if finite(record[name]) is not None]
    return max(names, key=record.__getitem__, default=None)


def bounds_of(record: dict[str, Any]) -> set[str]:
    """Methods between which every other one lies: drawn dashed."""
    return {m["name"] for m in methods_of(record) if m["family"] == "bound"}


def banded_of(record: dict[str, Any]) -> set[str]:
    """Methods whose interval is drawn: more than two bands would hide each other."""
    colours = colours_of(record)
    return {name for name in colours if name in BANDED} or set(list(colours)[:1])


def looks_of(record: dict[str, Any]) -> dict[str, str]:
    """The class of each method in the style of the page."""
    colours, bounds = colours_of(record), bounds_of(record)
    names = [method["name"] for method in methods_of(record)]
    looks = {name: "bound" if name in bounds else "plain" for name in names}
    return looks | {name: f"c{colour}" for name, colour in colours.items()}


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as possible to the given ones, in their order, at least `gap` apart.

    They stay within `low` and `high` while there is room for them.
    """
    order = sorted(range(len(places)), key=lambda number: places[number])
    blocks: list[tuple[float, int]] = []  # labels that touch: where the first stands, and how many
    for number in order:
        start, members = places[number], 1
        while blocks and blocks[-1][0] + blocks[-1][1] * gap > start:
            start_before, members_before = blocks.pop()
            total = members_before + members
            moved = start_before * members_before + (start - members_before * gap) * members
            start, members = moved / total, total
        blocks.append((start, members))
    spots = [start + gap * step for start, members in blocks for step in range(members)]
    spots = [max(spot, low + gap * number) for number, spot in enumerate(spots)]
    last = len(spots) - 1
    spots = [min(spot, high - gap * (last - number)) for number, spot in enumerate(spots)]
    result = [0.0] * len(places)
    for number, spot in zip(order, spots, strict=True):
        result[number] = spot
    return result
