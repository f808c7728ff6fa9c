"""Damage to bytes and to JSON, drawn from one generator, so that a number makes it again."""

import copy
import json
import math
import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple

Draw = random.Random


class Raw(NamedTuple):
    """JSON that `json.dumps` does not write."""

    text: str


DEEP = 200_000
HUGE = [2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**9, 10**12, 10**30, -1, -(2**63), 0]
VALUES: list[Any] = [
    *HUGE,
    None,
    True,
    False,
    1,
    1.5,
    1e308,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "x",
    "float32",
    "../outside.safetensors",
    "/etc/hostname",
    "a\0b",
    "half a pair \ud83d",
    "\u2028 \x85",
    "x" * 100_000,
    [],
    [[]],
    {},
    {"x": None},
    [0] * 10_000,
    Raw("9" * 5_000),
    Raw("1e999"),
    Raw("[" * DEEP + "]" * DEEP),
    Raw('{"x":' * DEEP + "1" + "}" * DEEP),
    Raw('{"x": 1, "x": 2}'),
    Raw("1.0"),
    Raw("NaN"),
    Raw(""),
]
RAW_PLACE = re.compile(r'"\\u0000raw:(\d+)"')


def damaged_json(value: Any, draw: Draw) -> Any:
    """A copy with one to three changes; its numbers and names keep most of their places."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        value = _changed(value, draw)
    return value


def any_value(draw: Draw) -> Any:
    """Of JSON, of any kind; a copy, as lists may be changed further."""
    return copy.deepcopy(draw.choice(VALUES))


def dump(value: Any, draw: Draw | None = None) -> str:
    """As `json.dumps`, of what may hold `Raw`."""
    raws: list[str] = []

    def marked(node: Any) -> Any:
        if isinstance(node, Raw):
            raws.append(node.text)
            return f"\0raw:{len(raws) - 1}"
        if isinstance(node, dict):
            return {name: marked(item) for name, item in node.items()}
        return [marked(item) for item in node] if isinstance(node, list) else node

    text = json.dumps(marked(value), ensure_ascii=draw is None or draw.random() < 0.9)
    return RAW_PLACE.sub(lambda match: raws[int(match[1])], text)


def _changed(value: Any, draw: Draw) -> Any:
    """One change, at a node that is found by going down from the root."""
    is_inner = isinstance(value, dict | list) and not isinstance(value, Raw) and len(value) > 0
    if is_inner and draw.random() < 0.8:
        place = draw.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value[place] = _changed(value[place], draw)
        return value
    if is_inner and draw.random() < 0.7:
        change = draw.choice(_OBJECT_CHANGES if isinstance(value, dict) else _LIST_CHANGES)
        return change(value, draw)
    if type(value) in (int, float) and draw.random() < 0.4:
        return value * draw.choice((-1, 10, 10**6, 10**12)) + draw.choice((-1, 0, 1))
    if isinstance(value, str) and draw.random() < 0.3:
        return damaged_bytes(value.encode(errors="replace"), draw).decode(errors="replace")
    return draw.choice((any_value(draw), any_value(draw), [value], {"x": value}))


def _without(value: dict, draw: Draw) -> dict:
    del value[draw.choice(list(value))]
    return value


def _renamed(value: dict, draw: Draw) -> dict:
    value[draw.choice(("x", "", "a/b", "__class__"))] = value.pop(draw.choice(list(value)))
    return value


def _joined(value: dict, draw: Draw) -> dict:
    return {**value, draw.choice(("x", "format", "self")): any_value(draw)}


def _exchanged(value: dict, draw: Draw) -> dict:
    a, b = draw.choice(list(value)), draw.choice(list(value))
    value[a], value[b] = value[b], value[a]
    return value


_OBJECT_CHANGES: list[Callable] = [_without, _renamed, _joined, _exchanged]
_LIST_CHANGES: list[Callable] = [
    lambda value, draw: value[: draw.randrange(len(value))],
    lambda value, draw: [*value, draw.choice(value)],
    lambda value, draw: [*value, any_value(draw)],
    lambda value, draw: value[::-1],
    lambda value, draw: value * draw.choice((2, 50)),
]


def damaged_bytes(content: bytes, draw: Draw) -> bytes:
    """A copy with one to four changes."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        content = draw.choice(_BYTE_CHANGES)(content, draw, draw.randrange(len(content) + 1))
    return content


def _flipped(content: bytes, draw: Draw, at: int) -> bytes:
    if at == len(content):
        return content
    return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]


def _replaced(content: bytes, draw: Draw, at: int) -> bytes:
    return content[:at] + draw.choice(PIECES) + content[at + draw.randrange(16) :]


PIECES = [
    b"",
    b"\0" * 8,
    b"\xff" * 8,
    (2**40).to_bytes(8, "little"),
    (2**31 - 1).to_bytes(4, "little"),
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\xbd",  # half a pair, as some encoders write it
    b"\n",
    b"\r",
    b'"',
    b"}",
    b"[",
    b",",
    b"\\ud83d",
    b"999999999999",
    b"-1",
    b"NaN",
]
_BYTE_CHANGES: list[Callable[[bytes, Draw, int], bytes]] = [
    _flipped,
    _flipped,
    _replaced,
    _replaced,
    lambda content, draw, at: content[:at],
    lambda content, draw, at: content[:at] + content[at + draw.randrange(200) :],
    lambda content, draw, at: content[:at] + content[: draw.randrange(200)] + content[at:],
    lambda content, draw, at: draw.choice(PIECES) + content,
    lambda content, draw, at: content + draw.choice((*PIECES, content)),
    lambda content, draw, at: content[:at] + draw.randbytes(draw.randrange(1, 40)) + content[at:],
]
