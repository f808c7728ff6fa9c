"""Tensors on disk: safetensors that are whole or absent, and what a tensor is known by."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from swift_bon.storage import file_sha256, sha256, staged_file
from swift_kernels.head_files import DAMAGED_SAFETENSORS


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> tuple[int, str]:
    """Write a safetensors file that is whole or absent; its size in bytes and its SHA-256.

    Raises:
        OSError: the disk is full.
    """
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    try:
        with staged_file(path) as staging:
            save_file(contiguous, staging, metadata={"format": "pt", **(metadata or {})})
            size_and_digest = staging.stat().st_size, file_sha256(staging)
    except SafetensorError as error:  # what it makes of a full disk
        raise OSError(f"{path} could not be written: {error}") from error
    return size_and_digest


def read_tensors(path: Path, what_to_do: str, *names: str) -> dict[str, Tensor]:
    """Tensors of these names, or all of a file, mapped from it.

    Raises:
        ValueError: the file is damaged, or has no such tensors.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in names or file.keys()}
    except DAMAGED_SAFETENSORS as error:
        raise ValueError(f"{path} is damaged: {error}; {what_to_do}") from error


def tensor_sha256(tensor: Tensor) -> str:
    """Of its dtype, its shape and its bytes."""
    return sha256(f"{tensor.dtype}{tuple(tensor.shape)}", tensor.contiguous().numpy().tobytes())
