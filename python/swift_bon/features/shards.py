"""Features in shards of whole prompts, token-packed.

A source of features (`FeatureStore`, `ModelFeatures`) hands them over in shards of whole prompts:

    source.spec      what a feature is made of
    source.shards    which prompts lie in which shard
    source.read(s)   the features of shard s
    source.moments() mean and deviation of each number

so that fitting never holds more than a few shards, wherever they come from.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from swift_bon.candidates.records import PromptCandidates, PromptLabels
from swift_bon.features.spec import DEVIATION_FLOOR, FeatureSpec
from swift_bon.models.forward import count_scored_tokens
from swift_bon.seeds import split_rank

SHARD_BYTES = 64 * 2**20
MAX_SHARD_BYTES = 2**30  # where the candidates of one forward take more than `SHARD_BYTES`


Advance = Callable[[int], object]  # told of tokens as they are done, as a progress bar's `update`


def nobody(num_tokens: int) -> None:
    """An `Advance` of whoever does not count."""


class Shard(NamedTuple):
    """Prompts that are read together, in packed order."""

    prompts: list[int]  # position of each among the prompts; -1 for one that is not wanted
    num_candidates: list[int]  # of each
    num_tokens: int


class Pack(NamedTuple):
    """Features of the candidates of one shard, one token after the other.

    Candidate m has the rows from `offsets[m]` to `offsets[m + 1]`.
    """

    states: Tensor  # [tokens, D] in the dtype of the spec
    offsets: Tensor  # [M + 1] int64


class Moments(NamedTuple):
    """Of each feature over some tokens."""

    mean: Tensor  # [D] float32
    deviation: Tensor  # [D] float32


def identities(prompts: Sequence[PromptCandidates | PromptLabels]) -> list[tuple[str, str]]:
    """Id and digest of each prompt: what features and labels are matched by."""
    return [(prompt.id, prompt.digest) for prompt in prompts]


class FeatureSource(Protocol):
    """Where features come from."""

    spec: FeatureSpec
    shards: list[Shard]
    identities: list[tuple[str, str]]  # of the prompts, by position

    def read(
        self, shard: int, wanted: Sequence[bool] | None = None, advance: Advance = nobody
    ) -> Pack:
        """The features of a shard; rows of prompts that are not wanted may hold anything."""
        ...

    def moments(self, advance: Advance = nobody) -> Moments:
        """To standardise by: over all tokens, or over a sample."""
        ...

    def will_read(self, shard: int) -> None:
        """A hint."""


def sum_moments(states: Tensor) -> Tensor:
    """Sums over the tokens of each number and of its square, float64 `[2, D]`."""
    sums = torch.zeros(2, states.shape[1], dtype=torch.float64, device="cpu")
    for rows in states.split(1024):
        values = rows.float()
        sums[0] += values.sum(dim=0)
        sums[1] += values.square().sum(dim=0)
    return sums


def divide_moments(sums: Tensor, num_tokens: int) -> Moments:
    """From `sum_moments` of all of them."""
    mean, square = sums / num_tokens
    variance = (square - mean.square()).clamp(min=0)
    return Moments(mean.float(), variance.sqrt().clamp(min=DEVIATION_FLOOR).float())


def pack_prompts(
    prompts: Sequence[PromptCandidates],
    groups: Sequence[str],
    spec: FeatureSpec,
    shard_bytes: int,
    num_candidates: int,
) -> list[Shard]:
    """Whole prompts in the order of the split, until a shard is full.

    Args:
        groups: of the prompts.
        shard_bytes: features of a full shard.
        num_candidates: of a full shard, unless they take `MAX_SHARD_BYTES`.
    """
    ranks = [(split_rank(group), prompt.id) for group, prompt in zip(groups, prompts, strict=True)]
    order = sorted(range(len(prompts)), key=lambda position: ranks[position])
    shards: list[Shard] = []
    members: list[int] = []
    counts: list[int] = []
    num_tokens = 0
    for position in order:
        members.append(position)
        counts.append(len(prompts[position].candidates))
        num_tokens += count_scored_tokens([prompts[position]], spec.scored_tokens)
        num_bytes = num_tokens * spec.token_bytes
        is_full = num_bytes >= shard_bytes and sum(counts) >= num_candidates
        if is_full or num_bytes >= MAX_SHARD_BYTES or position == order[-1]:
            shards.append(Shard(members, counts, num_tokens))
            members, counts, num_tokens = [], [], 0
    return shards
