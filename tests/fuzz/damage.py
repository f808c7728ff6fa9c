"""One damaged file in a folder of valid ones, by what the file is."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile import damaged_checkpoint, hostile_pickle
from mutations import Draw, any_value, damaged_bytes, damaged_json, dump

LENGTH_BYTES = 8  # of the header of safetensors


def damage(folder: Path, draw: Draw, trap: Path) -> None:
    """Damage one file of a folder. `trap`: what a program hidden in it would write."""
    path = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    kind = draw.random()
    if kind < 0.06:
        draw.choice(_PLACE_CHANGES)(path, draw)
    elif kind < 0.12:
        path.write_bytes(hostile_pickle(trap, draw))
    elif kind < 0.3:
        path.write_bytes(damaged_bytes(path.read_bytes(), draw))
    else:
        _BY_SUFFIX[path.suffix](path, draw)


def _damage_json(path: Path, draw: Draw) -> None:
    text = dump(damaged_json(json.loads(path.read_bytes()), draw), draw)
    path.write_bytes(text.encode(errors="surrogatepass"))


def _damage_lines(path: Path, draw: Draw) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    number = draw.randrange(len(lines))
    lines[number] = dump(damaged_json(json.loads(lines[number]), draw), draw)
    if draw.random() < 0.1:
        lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    path.write_bytes(("\n".join(lines) + "\n").encode(errors="surrogatepass"))


def _damage_tensors(path: Path, draw: Draw) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    header: dict[str, Any] = json.loads(content[LENGTH_BYTES:][:length])
    body = content[LENGTH_BYTES + length :]
    if draw.random() < 0.5:  # another dtype, over the same bytes
        name = draw.choice([name for name in header if name != "__metadata__"])
        header[name], body = _retyped(header[name], body, draw)
    else:
        header = damaged_json(header, draw)
    text = dump(header).encode(errors="surrogatepass")
    path.write_bytes(len(text).to_bytes(LENGTH_BYTES, "little") + text + body)


INTEGERS = ["BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"]
FLOATS = ["F8_E4M3", "F8_E5M2", "F8_E8M0", "F16", "BF16", "F32", "F64"]
DTYPES = [*INTEGERS, *FLOATS, "C64", "F4", "F6_E2M3", "X"]


def _retyped(entry: dict[str, Any], body: bytes, draw: Draw) -> tuple[dict[str, Any], bytes]:
    """Another dtype, another shape, or other numbers in the place of a tensor."""
    start, end = entry["data_offsets"]
    kind = draw.randrange(4)
    if kind == 0:
        return {**entry, "dtype": draw.choice(DTYPES)}, body
    if kind == 1:
        return {
            **entry,
            "shape": draw.choice(([], [-1], [0, 2**63], [2**40, 2**40], any_value(draw))),
        }, body
    if kind == 2:
        return {**entry, "shape": [*entry["shape"][::-1], 1]}, body
    piece = draw.choice((b"\xff", b"\0", b"\x7f", draw.randbytes(7))) * (end - start)
    return entry, body[:start] + piece[: end - start] + body[end:]


def _damage_archive(path: Path, draw: Draw) -> None:
    path.write_bytes(damaged_checkpoint(path.read_bytes(), draw))


_BY_SUFFIX: dict[str, Callable[[Path, Draw], None]] = {
    ".json": _damage_json,
    ".jsonl": _damage_lines,
    ".safetensors": _damage_tensors,
    ".pt": _damage_archive,
}


def _linked(path: Path, draw: Draw) -> None:
    path.unlink()
    path.symlink_to(draw.choice((path.name, "nowhere", "/", "/dev/null", "..")))


def _exchanged(path: Path, draw: Draw) -> None:
    others = sorted(file for file in path.parent.iterdir() if file.is_file())
    shutil.copy(draw.choice(others), path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


def _as_folder(path: Path, draw: Draw) -> None:
    path.unlink()
    path.mkdir()


def _as_pipe(path: Path, draw: Draw) -> None:
    path.unlink()
    os.mkfifo(path)


_PLACE_CHANGES: list[Callable[[Path, Draw], object]] = [
    lambda path, draw: path.unlink(),
    lambda path, draw: path.write_bytes(b""),
    _linked,
    _exchanged,
    _as_folder,
    _as_pipe,
]
