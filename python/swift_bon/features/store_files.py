"""Files of a feature store: a folder of token-packed shards, and an index of what they are.

    index.json               what the features are made of; written first
    projection.safetensors   the basis, where there is one; its checksum stands in the index
    shards.jsonl             one line a shard, added once the shard is whole
    shard-00000.safetensors  states [tokens, D], offsets [M + 1], moments [2, D]

A shard counts from the moment its line stands in `shards.jsonl`, so a run killed anywhere leaves
whole shards, and at most one file that does not count and is written again. Nothing here runs code.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from swift_bon.candidates.records import PromptCandidates
from swift_bon.features.projection import Projection, Scaling
from swift_bon.features.shards import Pack, sum_moments
from swift_bon.features.spec import FeatureSpec
from swift_bon.features.store_records import (
    LATER_NAMES,
    SPEC_NAMES,
    ShardEntry,
    StoredPrompt,
    to_entry,
    to_spec,
)
from swift_bon.features.tensor_files import read_tensors, tensor_sha256, write_tensors
from swift_bon.storage import (
    append_lines,
    check_file,
    check_sha256,
    drop_torn_line,
    parse_json,
    with_checksum,
    without_checksum,
    write_whole,
)

FORMAT = 1
INDEX_NAME = "index.json"
SHARDS_NAME = "shards.jsonl"
PROJECTION_NAME = "projection.safetensors"
MAKE_AGAIN = "extract again, which makes only what is lost"
START_OVER = "delete the folder and extract again"


def write_index(folder: Path, spec: FeatureSpec, source: dict[str, Any]) -> None:
    """Write the basis, then the index; `source` is what else must be the same to go on."""
    projection = None
    if spec.projection is not None:
        path = folder / PROJECTION_NAME
        num_bytes, sha256 = write_tensors(path, spec.projection._asdict())
        projection = {"file": path.name, "num_bytes": num_bytes, "sha256": sha256}
    index = {
        "format": FORMAT,
        "spec": {name: getattr(spec, name) for name in (*SPEC_NAMES, *LATER_NAMES)},
        "projection": projection,
        "source": source,
    }
    text = json.dumps(with_checksum(index), indent=1, ensure_ascii=False)
    write_whole(folder / INDEX_NAME, text + "\n")


def read_index(folder: Path) -> tuple[FeatureSpec, dict[str, Any]]:
    """What the features are made of, and `source`.

    Raises:
        FileNotFoundError: there is no store.
        ValueError: the index or the projection is damaged, or of another version.
    """
    path = folder / INDEX_NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is no feature store: it has no {INDEX_NAME}; make one with swift-bon extract"
        )
    try:
        index = parse_json(path.read_bytes())
        if index["format"] != FORMAT:
            raise ValueError(f"its format is {index['format']}, expected {FORMAT}")
        index = without_checksum(index)
        stored = index["projection"]
        spec = to_spec(index["spec"])
        source = dict(index["source"])
        size, digest = (stored["num_bytes"], stored["sha256"]) if stored else (0, "")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} does not describe a feature store ({type(error).__name__}: {error}); "
            f"{START_OVER}"
        ) from error
    if stored:
        path = folder / PROJECTION_NAME
        check_file(path, size, START_OVER)
        check_sha256(path, digest, START_OVER)
        spec = replace(spec, projection=_read_projection(path, spec))
    return spec, source


def _read_projection(path: Path, plain: FeatureSpec) -> Projection | Scaling:
    """The projection of the states of a spec that has none yet."""
    tensors = read_tensors(path, START_OVER)
    num_layers, width = len(plain.layers), plain.hidden_size
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    num_rows = shapes.get("matrix", (0, 0))[1:2]
    expected = [
        {"matrix": (1, *num_rows, num_layers * width), "shift": (1, *num_rows)},
        {"matrix": (num_layers, *num_rows, width), "shift": (num_layers, *num_rows)},
        {"scale": (num_layers, width), "shift": (num_layers, width)},
    ]
    if shapes not in expected or any(t.dtype != torch.float32 for t in tensors.values()):
        raise ValueError(
            f"{path} holds {shapes}, which projects no states of {num_layers} layers of {width} "
            f"numbers, float32; {START_OVER}"
        )
    return (Projection if "matrix" in tensors else Scaling)(**tensors)


def write_shard(
    folder: Path, file: str, pack: Pack, prompts: Sequence[PromptCandidates]
) -> ShardEntry:
    """Write the features of some prompts, then the line from which on they count."""
    moments = sum_moments(pack.states)
    num_bytes, sha256 = write_tensors(folder / file, {**pack._asdict(), "moments": moments})
    entry = ShardEntry(
        file=file,
        num_bytes=num_bytes,
        sha256=sha256,
        moments_sha256=tensor_sha256(moments),
        num_tokens=len(pack.states),
        prompts=[StoredPrompt(p.id, p.digest, len(p.candidates)) for p in prompts],
    )
    append_entry(folder, entry)
    return entry


def append_entry(folder: Path, entry: ShardEntry) -> None:
    append_lines(folder / SHARDS_NAME, [_to_line(entry)])


def _to_line(entry: ShardEntry) -> str:
    return json.dumps(with_checksum(asdict(entry)), ensure_ascii=False) + "\n"


def read_entries(folder: Path) -> list[ShardEntry]:
    """The shards that count, in the order in which they were written.

    A last line without an end does not count: a run was killed in it, or is writing it.

    Raises:
        ValueError: a line is damaged, or a prompt comes twice.
    """
    path = folder / SHARDS_NAME
    if not path.exists():
        return []
    if not path.is_file():
        raise ValueError(f"{path} is not a file; delete it and {MAKE_AGAIN}")
    *lines, _ = path.read_bytes().split(b"\n")
    entries = []
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        try:
            entry = to_entry(without_checksum(parse_json(line)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"line {number} of {path} is not a shard ({type(error).__name__}: {error}); "
                f"delete that line and {MAKE_AGAIN}"
            ) from error
        ids = {prompt.id for prompt in entry.prompts}
        if ids & seen or len(ids) < len(entry.prompts):
            raise ValueError(
                f"line {number} of {path}: a prompt comes twice; delete that line and {MAKE_AGAIN}"
            )
        seen |= ids
        entries.append(entry)
    return entries


def keep_entries(folder: Path, is_kept: Callable[[ShardEntry], bool]) -> list[ShardEntry]:
    """Forget shards: they no longer count, and their prompts are extracted again."""
    if (folder / SHARDS_NAME).exists():
        drop_torn_line(folder / SHARDS_NAME)
    entries = read_entries(folder)
    kept = [entry for entry in entries if is_kept(entry)]
    if len(kept) < len(entries):
        write_whole(folder / SHARDS_NAME, "".join(map(_to_line, kept)))
    return kept


def check_same_tokens(folder: Path, stored: StoredPrompt, digest: str) -> None:
    """The candidates of a prompt are those whose features were stored."""
    if stored.digest != digest:
        raise ValueError(
            f"{folder} has other tokens for the prompt {stored.id!r} than the candidates; extract "
            "these candidates into another folder"
        )


def has_size(folder: Path, entry: ShardEntry) -> bool:
    path = folder / entry.file
    return path.is_file() and path.stat().st_size == entry.num_bytes


def new_files(entries: Sequence[ShardEntry]) -> Iterator[str]:
    """Names that no counted shard has."""
    used = [int(entry.file.removeprefix("shard-").split(".")[0]) for entry in entries]
    for number in itertools.count(max(used, default=-1) + 1):
        yield f"shard-{number:05d}.safetensors"
