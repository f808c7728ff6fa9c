"""A feature store of any size and its candidates file, made without a model.

Every token is normal noise. The tokens of right candidates are moved one way along one direction
of the features, those of wrong ones the other way, by so much that the means of two candidates of
the mean length differ by `signal` deviations. So the best AUROC is known:
`Phi(signal / sqrt(2))`, a little less as lengths vary, and 0.5 without a signal.

The noise is cut from a bank of tokens at random places, as drawing it anew would take far longer
than writing it. Nothing here is larger than a few shards.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from swift_bon.candidates.files import append_candidates, write_header
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.features.model_features import SHARD_BYTES
from swift_bon.features.shards import Pack
from swift_bon.features.spec import DTYPES, FeatureSpec
from swift_bon.features.store_files import ShardEntry, write_index, write_shard

MODEL = "synthetic/noise"
SHARE_RIGHT = 0.4
BANK_TOKENS = 2**16
FIRST_TOKEN_ID, NUM_TOKEN_IDS = 1_000, 128_000  # ids as large as those of a real vocabulary
ID_BYTES = 8  # of a token id in the candidates file
DISK_RESERVE_BYTES = 2**26


@dataclass(frozen=True)
class StoreSize:
    """What is made: candidates of half to one and a half times `num_tokens` tokens, uniformly."""

    num_candidates: int
    num_samples: int  # candidates of a prompt; the last prompt may have fewer
    num_tokens: int
    dim: int
    signal: float
    dtype: str = "float16"
    shard_bytes: int = SHARD_BYTES

    @property
    def spec(self) -> FeatureSpec:
        return FeatureSpec(MODEL, 1, self.dim, (0,), "fed", self.dtype)

    def lengths(self) -> Tensor:
        """Scored tokens of each candidate, int64."""
        low, high = self.num_tokens - self.num_tokens // 2, self.num_tokens + self.num_tokens // 2
        generator = torch.Generator().manual_seed(1)
        return torch.randint(low, high + 1, (self.num_candidates,), generator=generator)

    def num_bytes(self) -> int:
        """Of the store and of the candidates file, nearly."""
        return int(self.lengths().sum()) * (self.spec.token_bytes + ID_BYTES)


class MadeStore(NamedTuple):
    """Where it lies, and what it holds."""

    candidates: Path
    store: Path
    shards: list[Path]
    num_tokens: int
    num_bytes: int  # of the shards' files
    first_prompts: list[PromptCandidates]  # those of the first shard


def check_disk(folder: Path, num_bytes: int) -> str:
    """What is needed, as a sentence.

    Raises:
        OSError: the disk of the folder has less.
    """
    free_bytes = shutil.disk_usage(folder).free
    need = (
        f"the synthetic store needs {num_bytes / 1e9:.3g} GB in {folder}, which has "
        f"{free_bytes / 1e9:.3g} GB free"
    )
    if num_bytes > free_bytes - DISK_RESERVE_BYTES:
        raise OSError(f"{need}; take another --folder, or fewer --candidates")
    return need


def make_store(folder: Path, size: StoreSize) -> MadeStore:
    """Write `candidates.jsonl` with its header, and the store, into an empty folder.

    Raises:
        OSError: the disk has not enough space; nothing was written.
    """
    check_disk(folder, size.num_bytes())
    candidates, store = folder / "candidates.jsonl", folder / "store"
    store.mkdir()
    header = {"model": MODEL, "task": "synthetic", "split": "train"}
    write_header(candidates, header | {"num_return_sequences": size.num_samples})
    write_index(store, size.spec, source=header)
    generator = torch.Generator().manual_seed(0)
    banks = _banks(size, generator)
    shards, first_prompts, num_bytes = [], [], 0
    for number, prompts in enumerate(_shards(size, generator)):
        entry = _write_shard(store, number, prompts, banks, generator)
        append_candidates(candidates, prompts)
        shards.append(store / entry.file)
        first_prompts = first_prompts or prompts
        num_bytes += entry.num_bytes
    num_tokens = int(size.lengths().sum())
    return MadeStore(candidates, store, shards, num_tokens, num_bytes, first_prompts)


def _banks(size: StoreSize, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens `[BANK_TOKENS, D]` of wrong and of right candidates: one noise, moved either way."""
    noise = torch.randn(BANK_TOKENS, size.dim, generator=generator)
    direction = torch.randn(size.dim, generator=generator)
    shift = direction / direction.norm() * (size.signal / 2 / size.num_tokens**0.5)
    dtype = DTYPES[size.dtype]
    return (noise - shift).to(dtype), (noise + shift).to(dtype)


def _shards(size: StoreSize, generator: torch.Generator) -> Iterator[list[PromptCandidates]]:
    """Prompts that fill a shard, one shard after the other."""
    room = size.shard_bytes // size.spec.token_bytes
    prompts, num_tokens = [], 0
    for number, lengths in enumerate(size.lengths().split(size.num_samples)):
        added = int(lengths.sum())
        if prompts and num_tokens + added > room:
            yield prompts
            prompts, num_tokens = [], 0
        prompts.append(_prompt(number, lengths.tolist(), generator))
        num_tokens += added
    yield prompts


def _prompt(number: int, lengths: list[int], generator: torch.Generator) -> PromptCandidates:
    right = (torch.rand(len(lengths), generator=generator) < SHARE_RIGHT).tolist()
    candidates = []
    for length, is_right in zip(lengths, right, strict=True):
        # one more than is scored: the last token of a response is never fed to the model
        ids = torch.randint(
            FIRST_TOKEN_ID, FIRST_TOKEN_ID + NUM_TOKEN_IDS, (length + 1,), generator=generator
        )
        candidates.append(StoredCandidate("", ids.tolist(), is_right, None))
    return PromptCandidates(f"synthetic-{number}", f"question {number}", "", candidates)


def _write_shard(
    store: Path,
    number: int,
    prompts: list[PromptCandidates],
    banks: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> ShardEntry:
    pieces = []
    for candidate in (candidate for prompt in prompts for candidate in prompt.candidates):
        length = len(candidate.token_ids) - 1
        start = int(torch.randint(BANK_TOKENS - length + 1, (), generator=generator))
        pieces.append(banks[candidate.correct][start : start + length])
    states = torch.cat(pieces)
    offsets = torch.tensor([0, *map(len, pieces)]).cumsum(0)
    file = f"shard-{number:05d}.safetensors"
    return write_shard(store, file, Pack(states, offsets), prompts)
