"""Tensors of a `.pt` file. Its pickle is looked through before it is read, so that no program is
run, and no memory is taken by a number that stands in the file."""

import io
import pickle
import pickletools
import struct
import zipfile
from pathlib import Path

import torch
from torch import Tensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file that is no zip
SMALL_BYTES = 2**16  # no harm, and legacy files say 1001 of themselves
LEGACY_PICKLES = 5  # magic, version, sizes of types, the tensors, their storages
REBUILDERS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"}
REBUILDERS |= {"torch._utils _rebuild_parameter", "torch._tensor _rebuild_from_type_v2"}
# What is raised on files that were cut, or had bits flipped.
DAMAGED_PICKLE = (
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_tensor_pickle(path: Path) -> dict[str, Tensor]:
    """A dictionary of tensors, mapped from the file or read from it.

    Raises:
        ValueError: the file is damaged, or holds anything else.
    """
    content = path.read_bytes()
    try:
        is_zip = zipfile.is_zipfile(io.BytesIO(content))
        for pickled in (_zip_pickles if is_zip else _legacy_pickles)(content):
            _check_steps(pickled, max(len(content), SMALL_BYTES))
        # Mapped, as some versions of PyTorch read beyond a tensor that is said to be larger.
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except DAMAGED_PICKLE as error:
        raise ValueError(
            f"{path} is not a checkpoint of tensors alone ({error}): it is damaged, or a pickle "
            "that would run code, which is never executed here"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise ValueError(f"{path} holds {type(tensors).__name__}, expected a dict of tensors")
    return tensors


def _zip_pickles(content: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = file.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, which torch.save never does")
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("its members are larger than the file")
        return [file.read(member) for member in members if member.filename.endswith(".pkl")]


def _legacy_pickles(content: bytes) -> list[bytes]:
    file, pickles = io.BytesIO(content), []
    for _ in range(LEGACY_PICKLES):
        start = file.tell()
        for _ in pickletools.genops(file):
            pass
        pickles.append(content[start : file.tell()])
    return pickles


def _check_steps(pickled: bytes, largest: int) -> None:
    """Each step of a pickle; in one of plain tensors, no number is larger than the file."""
    for step, argument, _ in pickletools.genops(pickled):
        if isinstance(argument, int) and largest < argument != LEGACY_MAGIC:
            raise ValueError(f"it says {argument}, more than it has bytes")
        if step.name in ("GLOBAL", "INST", "STACK_GLOBAL") and not _is_plain(str(argument)):
            raise ValueError(f"it asks for {argument}")


def _is_plain(name: str) -> bool:
    return name in REBUILDERS or (name.startswith("torch ") and name.endswith("Storage"))
