"""Checkpoints that would run a program, and archives whose numbers are larger than they are."""

import functools
import io
import os
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from mutations import HUGE, Draw, any_value, damaged_bytes
from torch import Tensor

BOMB_BYTES, ZEROS = 300 * 2**20, bytes(2**20)
INT_OPCODES = ("BININT", "BININT1", "BININT2", "LONG1")


class Runs:
    """Unpickling it calls a function."""

    def __init__(self, call: Callable, *args: object):
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable, tuple]:
        return self.call, self.args


def hostile_pickle(trap: Path, draw: Draw) -> bytes:
    """What writes the file `trap` where it is unpickled without care."""
    program = draw.choice(
        (
            Runs(Path.write_text, trap, "executed"),
            Runs(os.system, f"touch {trap}"),
            Runs(exec, f"open({str(trap)!r}, 'w')"),
            Runs(eval, f"open({str(trap)!r}, 'w')"),
        )
    )
    content = draw.choice((program, [program], {"fused_layer.weight": program}))
    if draw.random() < 0.4:
        return pickle.dumps(content, protocol=draw.randrange(6))
    return saved(content, is_zip=draw.random() < 0.6)


def saved(content: Any, *, is_zip: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=is_zip)
    return buffer.getvalue()


def damaged_checkpoint(content: bytes, draw: Draw) -> bytes:
    """A `.pt` file whose zip, whose pickle or whose tensors were changed."""
    change = draw.choice((_other_zip, _other_zip, _other_numbers, _other_tensors))
    return change(content, draw)


def _other_zip(content: bytes, draw: Draw) -> bytes:
    """Members compressed, grown, doubled, renamed or lost."""
    members = _members(content)
    name = draw.choice(list(members))
    kind = draw.choice(("compressed", "bomb", "twice", "renamed", "lost", "damaged", "empty"))
    if kind == "lost":
        del members[name]
    if kind in ("damaged", "empty"):
        members[name] = b"" if kind == "empty" else damaged_bytes(members[name], draw)
    if kind == "renamed":
        members[draw.choice(("../outside", "/tmp/outside", "x", "archive/code/x"))] = members.pop(
            name
        )
    pairs = list(members.items()) + ([(name, members[name])] if kind == "twice" else [])
    if kind == "bomb":
        return _bomb(name, tuple(members.items()))
    return _zipped(pairs, zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED)


def _other_numbers(content: bytes, draw: Draw) -> bytes:
    """One whole number of its pickle is another: a size, a stride, an offset, a key."""
    members = _members(content)
    if draw.random() < 0.4:
        return _with_other_number(saved(torch.load(io.BytesIO(content)), is_zip=False), draw)
    name = next(name for name in members if name.endswith("data.pkl"))
    return _zipped([*(members | {name: _with_other_number(members[name], draw)}).items()])


def _with_other_number(pickled: bytes, draw: Draw) -> bytes:
    places = [*_ints(pickled)]
    start, end = draw.choice(places)
    number = draw.choice((*HUGE, 10**6, 7))
    return pickled[:start] + pickle.dumps(number, protocol=2)[2:-1] + pickled[end:]


def _ints(pickled: bytes) -> Iterator[tuple[int, int]]:
    """Where the instructions of whole numbers begin and end; legacy files are several pickles."""
    start = 0
    while start < len(pickled):
        try:
            steps = [*pickletools.genops(pickled[start:])]
        except ValueError:  # the bytes of the tensors
            return
        ends = [place for _, _, place in steps[1:]]
        for (opcode, _, place), end in zip(steps, ends, strict=False):
            if opcode.name in INT_OPCODES:
                yield start + place, start + end
        start += steps[-1][2] + 1


def _other_tensors(content: bytes, draw: Draw) -> bytes:
    tensors: dict[Any, Any] = dict(torch.load(io.BytesIO(content)))
    name = draw.choice(list(tensors))
    kind = draw.randrange(4)
    if kind == 0:
        tensors[name] = draw.choice(_TENSORS)(tensors[name])
    elif kind == 1:
        tensors[draw.choice((3, None, (1, 2), "x", b"x"))] = tensors[name]
    elif kind == 2:
        tensors[name] = any_value(draw)
    return saved(tensors if kind < 3 else list(tensors.values()), is_zip=draw.random() < 0.7)


_TENSORS: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.to("meta"),
    lambda x: x.to_sparse(),
    lambda x: x.to_sparse_csr() if x.ndim == 2 else x.to_sparse(),
    lambda x: x.to(torch.complex64),
    lambda x: x.to(torch.float8_e5m2),
    lambda x: x.bool(),
    lambda x: x.double(),
    lambda x: x / 0,
    lambda x: x[:0],
    lambda x: x[:1].expand(10**9, *x.shape[1:]),
    lambda x: torch.nn.Parameter(x),
    lambda x: x.T,
    lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    lambda x: x.to(torch.float16).requires_grad_(),
    lambda x: x.conj(),
    lambda x: torch._neg_view(x),
]


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}


def _zipped(members: list[tuple[str, bytes]], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        for name, content in members:
            with warnings.catch_warnings():  # of a name that comes twice
                warnings.simplefilter("ignore")
                file.writestr(name, content)
    return buffer.getvalue()


@functools.cache
def _bomb(name: str, members: tuple[tuple[str, bytes], ...]) -> bytes:
    """One member is 300 MiB of zeros, in few bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for other, content in members:
            times = BOMB_BYTES // len(ZEROS) if other == name else 1
            with file.open(other, "w") as member:
                for _ in range(times):
                    member.write(ZEROS if other == name else content)
    return buffer.getvalue()
