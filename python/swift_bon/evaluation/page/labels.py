"""Labels in a picture, which does not wrap text by itself: their lines, and where they stand."""

import itertools
import re
import unicodedata
from collections.abc import Sequence

LONGEST_LABEL = 120  # characters: names longer than any real one would leave no room for a plot
PIECE = re.compile(r"[^\s/_+,:-]*[\s/_+,:-]*")  # a line may end after each of them
NARROW, WIDE = frozenset(" fijlrtI.,:;'|!()[]"), frozenset("mwMW%@&")


def short(label: str, limit: int = LONGEST_LABEL) -> str:
    """A label for a picture: without what is in brackets."""
    label = label.split(" (")[0]
    return label if len(label) <= limit else label[: limit - 1].rstrip() + "…"


def width_in_ems(text: str) -> float:
    """At most, in the usual fonts without serifs: DejaVu Sans is the widest of them."""
    return sum(map(_width, text))


def _width(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.1
    if character in WIDE:
        return 1.0
    if character in NARROW:
        return 0.42
    return 0.76 if character.isupper() else 0.65


def wrapped(text: str, width: float) -> list[str]:
    """Lines of at most `width` ems, broken after spaces and punctuation, else within a word."""
    lines = [""]
    for piece in PIECE.findall(text):
        if lines[-1] and width_in_ems((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        for character in piece:
            if lines[-1].strip() and width_in_ems((lines[-1] + character).rstrip()) > width:
                lines.append("")
            lines[-1] += character
    return [line.strip() for line in lines]


def spread(
    places: Sequence[float], gap: float | Sequence[float], low: float, high: float
) -> list[float]:
    """Places as near as possible to the given ones, in their order, at least `gap` apart.

    The first and the last stay within `low` and `high` while there is room for all.

    Args:
        gap: the height of each label, or one for all; the lowest may stand at the very edge.
    """
    heights = [gap] * len(places) if isinstance(gap, int | float) else list(gap)
    order = sorted(range(len(places)), key=lambda number: places[number])
    steps = [(heights[a] + heights[b]) / 2 for a, b in itertools.pairwise(order)]
    offsets = list(itertools.accumulate(steps, initial=0.0))[: len(order)]  # were all to touch
    blocks: list[tuple[float, int]] = []  # labels that touch: their mean place, and how many
    for number, offset in zip(order, offsets, strict=True):
        start, members = places[number] - offset, 1
        while blocks and blocks[-1][0] > start:
            start_before, members_before = blocks.pop()
            total = members_before + members
            start = (start_before * members_before + start * members) / total
            members = total
        blocks.append((start, members))
    starts = [start for start, members in blocks for _ in range(members)]
    if order:
        low += (heights[order[0]] - min(heights)) / 2
        high -= (heights[order[-1]] - min(heights)) / 2 + offsets[-1]
    spots = [0.0] * len(places)
    for number, start, offset in zip(order, starts, offsets, strict=True):
        spots[number] = min(max(start, low), high) + offset
    return spots
