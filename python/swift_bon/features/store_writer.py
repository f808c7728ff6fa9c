"""Writing a feature store: whole shards one after the other, from any source of states."""

import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from tqdm import tqdm

from swift_bon.candidates.records import PromptCandidates
from swift_bon.features.basis import block_sizes, find_projection, find_scaling
from swift_bon.features.model_features import SHARD_BYTES
from swift_bon.features.shards import Pack, Shard
from swift_bon.features.spec import DTYPES, FeatureSpec
from swift_bon.features.store import FeatureStore
from swift_bon.features.store_files import (
    INDEX_NAME,
    ShardEntry,
    check_same_tokens,
    has_size,
    keep_entries,
    new_files,
    read_index,
    write_index,
    write_shard,
)
from swift_bon.models.forward import count_scored_tokens
from swift_bon.storage import check_same_settings, only_run

DISK_RESERVE_BYTES = 2**26  # for the index, and for others
MOMENT_BYTES = 16  # of each number in each shard
LOCK_NAME = ".lock"
LEFTOVERS = ("shard-*.safetensors", ".shard*", ".index.json.*", ".projection.*", ".tmp*")


class StateSource(Protocol):
    """Features of some prompts by a spec, and the states to find a projection from."""

    shards: list[Shard]

    def read(self, shard: int) -> Pack: ...

    def sample(self, seed: int) -> Iterator[tuple[Tensor, ...]]: ...


def write_store(
    folder: Path,
    prompts: Sequence[PromptCandidates],
    spec: FeatureSpec,
    made_from: dict[str, Any],
    make_source: Callable[[Sequence[PromptCandidates], FeatureSpec], StateSource],
    say: Callable[[str], None],
) -> FeatureStore:
    """Write what is missing of a store; see `extract_features`.

    Args:
        spec: without the projection, which is found when the store is begun.
        made_from: what must be the same to go on: "projection", "projection_dim" and "seed" of the
            search, and whatever tells one source of states from another.
        make_source: gives the source for some of the prompts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with only_run(folder, folder / LOCK_NAME):
        _write(folder, prompts, spec, made_from, make_source, say)
    return FeatureStore(folder, prompts)


def _write(folder, prompts, spec, made_from, make_source, say) -> None:
    is_new = not (folder / INDEX_NAME).exists()
    if not is_new:
        spec = _same_store(folder, spec, made_from)
    # shards without an index are of unknown making
    entries = keep_entries(folder, lambda entry: not is_new and has_size(folder, entry))
    _clear_leftovers(folder, entries)
    missing = missing_prompts(prompts, entries, folder)
    if missing:
        _check_disk(missing, spec, made_from, folder, say)
    if is_new:
        spec = _with_projection(prompts, spec, made_from, make_source)
        write_index(folder, spec, made_from)
    if not missing:
        return
    source = make_source(missing, spec)
    files = new_files(entries)
    progress = tqdm(total=sum(shard.num_tokens for shard in source.shards), unit="token")
    with progress:
        for number, shard in enumerate(source.shards):
            members = [missing[position] for position in shard.prompts]
            write_shard(folder, next(files), source.read(number), members)
            progress.update(shard.num_tokens)


def _with_projection(prompts, spec: FeatureSpec, made_from, make_source) -> FeatureSpec:
    """The spec with the projection that is wanted, if any."""
    kind, dim, seed = (made_from[name] for name in ("projection", "projection_dim", "seed"))
    if kind is None and spec.dtype != "float8":
        return spec
    sample = make_source(prompts, dataclasses.replace(spec, dtype="float32")).sample(seed)
    if kind is None:  # as they are, the states exceed what 8 bits can hold
        return dataclasses.replace(spec, projection=find_scaling(sample))
    return dataclasses.replace(spec, projection=find_projection(sample, kind, dim, seed))


def _same_store(folder: Path, spec: FeatureSpec, made_from: dict[str, Any]) -> FeatureSpec:
    """The spec of the store that is there, once it is known to be of the same making."""
    earlier, earlier_made_from = read_index(folder)
    without = {"projection": None}
    check_same_settings(
        dataclasses.asdict(dataclasses.replace(earlier, **without)) | earlier_made_from,
        dataclasses.asdict(dataclasses.replace(spec, **without)) | made_from,
        folder,
        "use another folder, or delete it",
    )
    return earlier


def missing_prompts(
    prompts: Sequence[PromptCandidates], entries: Sequence[ShardEntry], folder: Path
) -> list[PromptCandidates]:
    stored = {prompt.id: prompt for entry in entries for prompt in entry.prompts}
    for prompt in prompts:
        if prompt.id in stored:
            check_same_tokens(folder, stored[prompt.id], prompt.digest)
    return [prompt for prompt in prompts if prompt.id not in stored]


def _clear_leftovers(folder: Path, entries: Sequence[ShardEntry]) -> None:
    """What a killed run left behind, and shards that no longer count."""
    counted = {entry.file for entry in entries}
    for pattern in LEFTOVERS:
        for file in folder.glob(pattern):
            if file.name not in counted:
                file.unlink()


def _check_disk(prompts, spec: FeatureSpec, made_from, folder: Path, say) -> None:
    """Say what the store will take, and stop where the disk has less."""
    num_tokens = count_scored_tokens(prompts, spec.scored_tokens)
    dim, basis_bytes = spec.dim, 0
    if spec.projection is None and made_from["projection"] is not None:  # it is yet to be found
        shape = (len(spec.layers), spec.hidden_size)
        num_blocks, size = block_sizes(made_from["projection"], made_from["projection_dim"], *shape)
        dim, basis_bytes = num_blocks * size, size * math.prod(shape) * 4  # [B, K, W] float32
    num_bytes = num_tokens * dim * DTYPES[spec.dtype].itemsize
    num_bytes += (num_bytes // SHARD_BYTES + 1) * MOMENT_BYTES * dim + basis_bytes
    free_bytes = shutil.disk_usage(folder).free
    need = (
        f"the features of {num_tokens} tokens ({dim} numbers each, {spec.dtype}) need "
        f"{num_bytes / 1e9:.3g} GB in {folder}, which has {free_bytes / 1e9:.3g} GB free"
    )
    if num_bytes > free_bytes - DISK_RESERVE_BYTES:
        raise OSError(f"{need}; take another folder, a smaller projection_dim, or fewer layers")
    say(need)
