"""Files that outlive a kill at any moment, and how a reader knows that they are whole.

Writing: a line at a time (`append_lines`), or a whole file that is there or not (`write_whole`,
`whole_file`, `staged_file`), by one run at a time (`only_run`). Knowing: digests (`sha256`,
`short_digest`, `file_sha256`), records of JSON with a checksum of themselves, and checks that name
the file and say what to do. Tensors are written by `swift_bon.features.tensor_files`.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

BLOCK_BYTES = 2**20
MAX_DEPTH = 200  # of JSON; ours has five
TOO_DEEP = f"it is nested more than {MAX_DEPTH} deep"
SHORT_DIGITS = 16  # of a digest, enough to tell apart what one project holds
HALF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")  # an escape that no UTF-8 has, unless in pairs


def append_lines(path: Path, lines: list[str]) -> None:
    """Add lines and put them on the disk before returning."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without an end, which a killed run may leave."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` once the block has ended well."""
    with staged_file(path) as staging, staging.open("wb") as file:
        yield file


@contextlib.contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Where to write a file that takes the place of `path` once the block has ended well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield staging
        with staging.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)


def check_same_settings(
    earlier: dict[str, Any], settings: dict[str, Any], where: Path, what_to_do: str
) -> None:
    """Whether a run that goes on does so with the settings that it began with.

    Raises:
        ValueError: names those that differ.
    """
    differing = [n for n in settings if json.dumps(earlier.get(n)) != json.dumps(settings[n])]
    if differing:
        raise ValueError(
            f"{where} was made with other settings: "
            + ", ".join(f"{n} was {earlier.get(n)!r}, now {settings[n]!r}" for n in differing)
            + f"; {what_to_do}"
        )


@contextlib.contextmanager
def only_run(path: Path, lock: Path | None = None) -> Iterator[None]:
    """Nobody else writes the file or the folder meanwhile; a kill ends that too.

    `lock`: the file that is locked; None takes `.<name>.lock` beside `path`.

    Raises:
        ValueError: somebody writes there.
        PermissionError: the lock's folder cannot be written to.
    """
    lock = lock or path.absolute().parent / f".{path.absolute().name}.lock"
    if not os.access(lock.parent, os.W_OK):
        raise PermissionError(f"the folder {lock.parent} cannot be written to; use another one")
    try:
        with FileLock(lock).acquire(timeout=0):
            yield
    except Timeout as error:
        raise ValueError(f"{path} is being written by another run; wait for its end") from error


def parse_json(content: str | bytes) -> Any:
    """What is written in JSON, as Python has it.

    Raises:
        ValueError: not JSON, not UTF-8, or as `check_parsed`.
    """
    text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    check_parsed(value, text)
    return value


def check_parsed(value: Any, text: str) -> None:
    """Refuse what Python reads in a JSON text, and then can neither show nor write again.

    Raises:
        ValueError: half of a pair of surrogates, or nested too deep.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH:
        level = [value] if isinstance(value, dict | list) else []
        for _ in range(MAX_DEPTH):
            rows = [node.values() if isinstance(node, dict) else node for node in level]
            level = [item for row in rows for item in row if isinstance(item, dict | list)]
        if level:
            raise ValueError(TOO_DEEP)
    if HALF_A_PAIR.search(text):
        json.dumps(value, ensure_ascii=False).encode()


def finite_json(value: Any) -> Any:
    """JSON has no infinity and no NaN: such a score becomes null."""
    if isinstance(value, dict):
        return {key: finite_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite_json(item) for item in value]
    is_number = not isinstance(value, float) or abs(value) < float("inf")
    return value if is_number else None


def sha256(*parts: str | bytes) -> str:
    """Of all parts, one after the other: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()


def short_digest(*parts: str | bytes) -> str:
    """The first 16 digits of `sha256`: what a thing is known by in files."""
    return sha256(*parts)[:SHORT_DIGITS]


def file_sha256(path: Path) -> str:
    """As `sha256`, of a file that need not fit into memory."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def with_checksum(record: dict[str, Any]) -> dict[str, Any]:
    """A record of JSON with a checksum of itself."""
    return {**record, "checksum": short_digest(json.dumps(record))}


def without_checksum(record: dict[str, Any]) -> dict[str, Any]:
    """The record alone; a ValueError where it is not what was written."""
    rest = {name: value for name, value in record.items() if name != "checksum"}
    if record["checksum"] != short_digest(json.dumps(rest)):
        raise ValueError("its checksum is not the one it was written with")
    return rest


def check_file(path: Path, num_bytes: int, what_to_do: str) -> None:
    """Refuse a file that was lost, or cut short.

    Raises:
        FileNotFoundError, ValueError: it is missing, or has another size.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {what_to_do}")
    if path.stat().st_size != num_bytes:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes, expected {num_bytes}: it was cut or "
            f"overwritten; {what_to_do}"
        )


def check_sha256(path: Path, expected: str, what_to_do: str) -> None:
    """Refuse a file in which a bit was flipped.

    Raises:
        ValueError: its `file_sha256` is not what was expected.
    """
    if file_sha256(path) != expected:
        raise ValueError(
            f"{path} is damaged: its checksum is not the one it was written with; {what_to_do}"
        )
