"""Rows of local files: JSON lines, or one JSON list, read one after the other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from swift_bon.storage import check_parsed, parse_json

CHUNK_CHARACTERS = 1 << 20


def check_is_there(path: str | Path) -> Path:
    """A file, which need not be read yet."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}; give one of JSON lines, or with one JSON list"
        )
    return path


def read_rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of a file with the words that say where it stands: "row 3 of a.json".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not UTF-8, or a row is no JSON object; names the row.
    """
    path = check_is_there(path)
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.read(1)
            while first.isspace():
                first = file.read(1)
            if first == "[":
                rows = _of_list(file, path)
            else:
                file.seek(0)
                rows = _of_lines(file, path)
            for number, row in enumerate(rows):
                where = f"row {number} of {path}"
                if not isinstance(row, dict):
                    raise ValueError(
                        f"{where} is {type(row).__name__}, expected a JSON object with fields"
                    )
                yield where, row
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error


def _of_lines(file: TextIO, path: Path) -> Iterator[object]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield parse_json(line)
        except ValueError as error:
            raise ValueError(f"line {number} of {path} is not JSON: {error}") from error


def _of_list(file: TextIO, path: Path) -> Iterator[object]:
    """The members of a JSON list after its bracket, each decoded by `json` once it is whole.

    One of them, and what was read with it, is held: lists of rollouts may be larger than memory.
    """
    decoder = json.JSONDecoder()
    text, at, wanted, number = "", 0, CHUNK_CHARACTERS, 0
    may_end = True  # not behind a comma
    while True:
        at = _after_space(text, at)
        if may_end and text[at : at + 1] == "]":
            if rest := (text[at + 1 :] + file.read()).strip():  # rows that would be lost
                raise ValueError(
                    f"{path} goes on after its JSON list, with {rest[:20]!r}; expected one list"
                )
            return
        try:
            row, end = decoder.raw_decode(text, at)
            end = _after_space(text, end)
            is_whole = text[end : end + 1] in (",", "]")
            fault = f"expected , or ] after it, got {text[end : end + 20]!r}"
        except (ValueError, RecursionError) as error:
            is_whole, fault = False, str(error)
        if not is_whole:
            more = file.read(wanted)
            if not more:
                raise ValueError(f"row {number} of {path} is not JSON: {fault}")
            text, at = text[at:] + more, 0
            wanted *= 2  # a row of any length is decoded few times
            continue
        try:
            check_parsed(row, text[at:end])
        except ValueError as error:
            raise ValueError(f"row {number} of {path} cannot be read: {error}") from error
        yield row
        number, wanted = number + 1, CHUNK_CHARACTERS
        may_end = text[end] == "]"
        at = end if may_end else end + 1


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def field(row: dict[str, Any], name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """A field of a row, of the right type.

    Raises:
        ValueError: the row has no such field, or it holds something else.
    """
    if name not in row:
        raise ValueError(f"{where} has no field {name!r}, it has: {', '.join(map(str, row))}")
    value = row[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(one.__name__ for one in kinds)
        raise ValueError(f"{where}: {name} is {type(value).__name__}, expected {expected}")
    return value


def texts(row: dict[str, Any], name: str, where: str) -> list[str]:
    """A field that is a list of at least one string."""
    values = field(row, name, list, where)
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{where}: {name} is {values!r:.80}, expected a list of strings")
    return values
