"""Reading a feature store: every shard is checked before it is believed."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from swift_bon.candidates.records import PromptCandidates, PromptLabels
from swift_bon.features.shards import (
    Advance,
    Moments,
    Pack,
    Shard,
    divide_moments,
    identities,
    nobody,
)
from swift_bon.features.spec import DTYPES
from swift_bon.features.store_files import (
    MAKE_AGAIN,
    START_OVER,
    ShardEntry,
    check_same_tokens,
    read_entries,
    read_index,
)
from swift_bon.features.tensor_files import read_tensors, tensor_sha256
from swift_bon.storage import check_file, check_sha256

MAKE_THIS_AGAIN = f"delete the file and {MAKE_AGAIN}"


class FeatureStore:
    """The features of some candidates, from the folder that `extract_features` wrote.

    Args:
        folder: the store.
        prompts: the candidates whose features are wanted. All of them must be in the store, with
            the tokens that they have here; it may hold others.

    Raises:
        FileNotFoundError: there is no store, or a shard is missing.
        ValueError: the index is damaged, a shard was cut, or the store was made from other tokens.
            Damage within a shard shows when it is first read.
    """

    def __init__(self, folder: str | Path, prompts: Sequence[PromptCandidates | PromptLabels]):
        self.folder = Path(folder)
        self.spec, _ = read_index(self.folder)
        self.identities = identities(prompts)
        self._entries: list[ShardEntry] = []
        self.shards: list[Shard] = []
        self._verified: set[int] = set()
        positions = {prompt.id: position for position, prompt in enumerate(prompts)}
        stored_positions: set[int] = set()
        for entry in read_entries(self.folder):
            check_file(self.folder / entry.file, entry.num_bytes, MAKE_AGAIN)
            wanted = [positions.get(stored.id, -1) for stored in entry.prompts]
            for position, stored in zip(wanted, entry.prompts, strict=True):
                if position >= 0:
                    check_same_tokens(self.folder, stored, self.identities[position][1])
            stored_positions.update(wanted)
            counts = [stored.num_candidates for stored in entry.prompts]
            self._entries.append(entry)
            self.shards.append(Shard(wanted, counts, entry.num_tokens))
        missing = [p.id for position, p in enumerate(prompts) if position not in stored_positions]
        if missing:
            raise ValueError(
                f"{self.folder} has no features of {len(missing)} of {len(prompts)} prompts, "
                f"{missing[0]!r} for one; run extract again, which goes on where it stopped"
            )

    def read(
        self, shard: int, wanted: Sequence[bool] | None = None, advance: Advance = nobody
    ) -> Pack:
        """The features of a shard, mapped from its file; the first time its checksum is compared.

        Raises:
            ValueError: the shard is damaged.
        """
        entry = self._entries[shard]
        path = self.folder / entry.file
        if shard not in self._verified:
            check_sha256(path, entry.sha256, MAKE_THIS_AGAIN)
            self._verified.add(shard)
        pack = Pack(**read_tensors(path, MAKE_THIS_AGAIN, *Pack._fields))
        expected = (entry.num_tokens, self.spec.dim)
        num_candidates = sum(self.shards[shard].num_candidates)
        if (
            tuple(pack.states.shape) != expected
            or pack.states.dtype != DTYPES[self.spec.dtype]
            or not _are_offsets(pack.offsets, num_candidates, entry.num_tokens)
        ):
            raise ValueError(
                f"{path} holds {tuple(pack.states.shape)} of {pack.states.dtype} with offsets "
                f"{tuple(pack.offsets.shape)}, the index says {expected} for {num_candidates} "
                f"candidates, one after the other; {START_OVER}"
            )
        advance(entry.num_tokens)
        return pack

    def moments(self, advance: Advance = nobody) -> Moments:
        """Over all tokens of the store, from the sums that stand in its shards.

        Raises:
            ValueError: a shard is damaged, or there is none.
        """
        sums: Tensor | None = None
        for entry in self._entries:
            path = self.folder / entry.file
            moments = read_tensors(path, MAKE_THIS_AGAIN, "moments")["moments"]
            if (
                moments.dtype != torch.float64
                or tuple(moments.shape) != (2, self.spec.dim)
                or tensor_sha256(moments) != entry.moments_sha256
            ):
                raise ValueError(
                    f"{path} is damaged: its sums are not those that were written; "
                    f"{MAKE_THIS_AGAIN}"
                )
            sums = moments if sums is None else sums + moments
            advance(entry.num_tokens)
        if sums is None:
            raise ValueError(f"{self.folder} has no features of any prompt; extract some")
        return divide_moments(sums, sum(entry.num_tokens for entry in self._entries))

    def will_read(self, shard: int) -> None:
        """Have the system fetch a shard in the meantime."""
        if hasattr(os, "posix_fadvise"):
            with (self.folder / self._entries[shard].file).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _are_offsets(offsets: Tensor, num_candidates: int, num_tokens: int) -> bool:
    return (
        offsets.dtype == torch.int64
        and tuple(offsets.shape) == (num_candidates + 1,)
        and int(offsets[0]) == 0
        and int(offsets[-1]) == num_tokens
        and bool((offsets.diff() >= 0).all())
    )
