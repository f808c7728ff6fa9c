"""Packing: which prompts lie in which shard."""

from collections.abc import Sequence

from swift_bon.candidates.records import PromptCandidates
from swift_bon.features import FeatureSpec, Shard
from swift_bon.models.forward import count_scored_tokens
from swift_bon.seeds import split_rank

SHARD_BYTES = 64 * 2**20
MAX_SHARD_BYTES = 2**30  # where the candidates of one forward take more than `SHARD_BYTES`


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
