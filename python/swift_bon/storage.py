"""Writing so that a kill at any moment leaves nothing half-written."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

BLOCK_BYTES = 2**20
MAKE_AGAIN = "extract again, which makes only what is lost"
START_OVER = "delete the folder and extract again"


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
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with staging.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)


def check_same_settings(earlier: dict, settings: dict, where, what_to_do: str) -> None:
    differing = [n for n in settings if dumps(earlier.get(n)) != dumps(settings[n])]
    if differing:
        raise ValueError(
            f"{where} was made with other settings: "
            + ", ".join(f"{n} was {earlier.get(n)!r}, now {settings[n]!r}" for n in differing)
            + f"; {what_to_do}"
        )


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> tuple[int, str]:
    """Write a safetensors file that is whole or absent; its size in bytes and its SHA-256."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    try:
        save_file(contiguous, staging, metadata={"format": "pt", **(metadata or {})})
        sha256, num_bytes = file_sha256(staging), staging.stat().st_size
        with staging.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(staging, path)
    except SafetensorError as error:  # what it makes of a full disk
        raise OSError(f"{path} could not be written: {error}") from error
    finally:
        staging.unlink(missing_ok=True)
    return num_bytes, sha256


@contextlib.contextmanager
def only_run(path: Path) -> Iterator[None]:
    """Nobody else writes the file meanwhile.

    Raises:
        ValueError: somebody does.
    """
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"the folder {path.parent} cannot be written to; use another one")
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout as error:
        raise ValueError(f"{path} is being written by another run; wait for its end") from error


def finite_json(value):
    """JSON has no infinity and no NaN: such a score becomes null."""
    if isinstance(value, dict):
        return {key: finite_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite_json(item) for item in value]
    is_number = not isinstance(value, float) or abs(value) < float("inf")
    return value if is_number else None


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def tensor_sha256(tensor: Tensor) -> str:
    """Of its dtype, its shape and its bytes."""
    digest = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
    digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def with_checksum(record: dict[str, Any]) -> dict[str, Any]:
    """A record of JSON with a checksum of itself."""
    return {**record, "checksum": _checksum(record)}


def without_checksum(record: dict[str, Any]) -> dict[str, Any]:
    """The record alone; a ValueError where it is not what was written."""
    rest = {name: value for name, value in record.items() if name != "checksum"}
    if record["checksum"] != _checksum(rest):
        raise ValueError("its checksum is not the one it was written with")
    return rest


def _checksum(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()[:16]


def check_file(path: Path, num_bytes: int, what_to_do: str = MAKE_AGAIN) -> None:
    """A file that was lost, or cut short."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {what_to_do}")
    if path.stat().st_size != num_bytes:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes, expected {num_bytes}: it was cut or "
            f"overwritten; {what_to_do}"
        )


def check_sha256(
    path: Path, sha256: str, what_to_do: str = f"delete the file and {MAKE_AGAIN}"
) -> None:
    """A file in which a bit was flipped."""
    if file_sha256(path) != sha256:
        raise ValueError(
            f"{path} is damaged: its checksum is not the one it was written with; {what_to_do}"
        )
