"""Checksums of files and records, and the errors of what does not have the right one."""

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

BLOCK_BYTES = 2**20
MAKE_AGAIN = "extract again, which makes only what is lost"
START_OVER = "delete the folder and extract again"


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
