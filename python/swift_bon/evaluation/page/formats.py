"""Numbers and texts as the page writes them. A number that does not exist is a dash."""

import html
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from swift_bon.evaluation.number_texts import p_relation

DASH = "–"
NO_BREAK = "\u00a0"
LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # has no UTF-8: the page could not be written
LINE_BREAK = re.compile("[\x01-\x1f\x7f\x85\u2028\u2029]")
# Marks that turn text around, left open, would turn the sentence around that they stand in.
DIRECTION = re.compile("[\0\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """Each lone surrogate becomes one U+FFFD, so that lengths in characters stay what they are."""
    return LONE_SURROGATE.sub("\ufffd", str(text))


def visible(text: object) -> str:
    """`clean`, and marks that turn the direction of what follows are seen, one character each.

    Right-to-left text needs none of them; an unclosed one would show what is not written.
    """
    return DIRECTION.sub("\ufffd", clean(text))


def escape(text: object) -> str:
    """For HTML, in text and in quoted attributes, on one line. HTML has no NUL."""
    return html.escape(LINE_BREAK.sub(" ", visible(text)), quote=True)


def to_json(value: Any) -> str:
    """For a data block inside a page: without `<` nothing in it can end the block."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def finite(value: float | None) -> float | None:
    """The number, or None for what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def share(value: float | None) -> str:
    """An accuracy: .385"""
    number = finite(value)
    return DASH if number is None else _bare(f"{number:.3f}")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference: +.090 or −.012"""
    number = finite(value)
    if number is None:
        return DASH
    text = _bare(f"{abs(number):.{digits}f}")
    if not text.strip(".0"):
        return "±" + text
    return ("+" if number > 0 else "−") + text


def interval(bounds: Sequence[float | None], number: Callable[[float | None], str] = share) -> str:
    """.337 to .435"""
    return " to ".join(number(bound) for bound in bounds)


def p_value(value: float | None) -> str:
    """p = .0002, as HTML."""
    number = finite(value)
    if number is None:
        return ""
    name, relation, digits = p_relation(number, 4 if number < 0.001 else 3).split(" ")
    return NO_BREAK.join([name, html.escape(relation), _bare(digits)])


def _bare(digits: str) -> str:
    return digits.removeprefix("0") if digits.startswith("0.") else digits
