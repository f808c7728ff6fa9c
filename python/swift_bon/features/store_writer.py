"""Writing a feature store: whole shards one after the other, from any source of states."""

import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor
from tqdm import tqdm

from swift_bon.candidates.records import PromptCandidates, PromptLabels
from swift_bon.features.basis import block_sizes, find_projection, find_scaling
from swift_bon.features.projection import Projection, Scaling
from swift_bon.features.shards import SHARD_BYTES, Advance, Pack, Shard, nobody
from swift_bon.features.spec import DTYPES, SAMPLE_TOKENS, FeatureSpec
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

    def read(self, shard: int, *, advance: Advance = nobody) -> Pack: ...

    def sample(self, seed: int) -> Iterator[tuple[Tensor, ...]]: ...


Prompt = TypeVar("Prompt", PromptCandidates, PromptLabels)
MakeSource = Callable[[Sequence[PromptCandidates], FeatureSpec], StateSource]


def write_store(
    folder: Path,
    prompts: Sequence[PromptCandidates],
    spec: FeatureSpec,
    made_from: dict[str, Any],
    make_source: MakeSource,
    say: Callable[[str], None] | None,
) -> FeatureStore:
    """Write what is missing of a store; see `extract_features`.

    Args:
        spec: without the projection, which is found when the store is begun.
        made_from: what must be the same to go on: "projection", "projection_dim" and "seed" of the
            search, and whatever tells one source of states from another.
        make_source: gives the source for some of the prompts.
        say: takes what is to be known before the start; None writes in silence, without bars.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with only_run(folder, folder / LOCK_NAME):
        _write(folder, prompts, spec, made_from, make_source, say)
    return FeatureStore(folder, prompts)


def _write(
    folder: Path,
    prompts: Sequence[PromptCandidates],
    spec: FeatureSpec,
    made_from: dict[str, Any],
    make_source: MakeSource,
    say: Callable[[str], None] | None,
) -> None:
    """As `write_store`, by the only run."""
    is_new = not (folder / INDEX_NAME).exists()
    if not is_new:
        spec = _same_store(folder, spec, made_from)
    # shards without an index are of unknown making
    entries = keep_entries(folder, lambda entry: not is_new and has_size(folder, entry))
    _clear_leftovers(folder, entries)
    missing = missing_prompts(prompts, entries, folder)
    if missing:
        need = _check_disk(missing, spec, made_from, folder)
        if say is not None:
            say(need)
    if is_new:
        spec = _with_projection(prompts, spec, made_from, make_source, say is not None)
        write_index(folder, spec, made_from)
    if not missing:
        return
    source = make_source(missing, spec)
    files = new_files(entries)
    num_tokens = sum(shard.num_tokens for shard in source.shards)
    with tqdm(total=num_tokens, unit="token", desc="extracting", disable=say is None) as bar:
        for number, shard in enumerate(source.shards):
            members = [missing[position] for position in shard.prompts]
            pack = source.read(number, advance=bar.update)
            write_shard(folder, next(files), pack, members)


def _with_projection(
    prompts: Sequence[PromptCandidates],
    spec: FeatureSpec,
    made_from: dict[str, Any],
    make_source: MakeSource,
    show_progress: bool,
) -> FeatureSpec:
    """The spec with the projection that is wanted, if any."""
    kind, dim, seed = (made_from[name] for name in ("projection", "projection_dim", "seed"))
    if kind is None and spec.dtype != "float8":
        return spec
    source = make_source(prompts, dataclasses.replace(spec, dtype="float32"))
    total = min(SAMPLE_TOKENS, sum(shard.num_tokens for shard in source.shards))
    with tqdm(
        total=total, unit="token", desc="finding the projection", disable=not show_progress
    ) as bar:
        sample = _counted(source.sample(seed), bar.update)
        projection: Projection | Scaling
        if kind is None:  # as they are, the states exceed what 8 bits can hold
            projection = find_scaling(sample)
        else:
            projection = find_projection(sample, kind, dim, seed)
        bar.total = bar.n  # a sample has about as many tokens
        bar.refresh()
    return dataclasses.replace(spec, projection=projection)


def _counted(
    batches: Iterator[tuple[Tensor, ...]], advance: Advance
) -> Iterator[tuple[Tensor, ...]]:
    for layers in batches:
        advance(len(layers[0]))
        yield layers
        del layers  # before the next forward


def _same_store(folder: Path, spec: FeatureSpec, made_from: dict[str, Any]) -> FeatureSpec:
    """The spec of the store that is there, once it is known to be of the same making."""
    earlier, earlier_made_from = read_index(folder)
    plain, earlier_plain = (
        dataclasses.asdict(dataclasses.replace(one, projection=None, fingerprint=None))
        for one in (spec, earlier)  # the digest of the weights says more than the fingerprint
    )
    check_same_settings(
        earlier_plain | earlier_made_from,
        plain | made_from,
        folder,
        "use another folder, or delete it",
    )
    return earlier


def missing_prompts(
    prompts: Sequence[Prompt], entries: Sequence[ShardEntry], folder: Path
) -> list[Prompt]:
    """Prompts that a store lacks.

    Raises:
        ValueError: it has one with other tokens.
    """
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


def _check_disk(
    prompts: Sequence[PromptCandidates], spec: FeatureSpec, made_from: dict[str, Any], folder: Path
) -> str:
    """What the store will take, in words.

    Raises:
        OSError: the disk has less.
    """
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
    return need
