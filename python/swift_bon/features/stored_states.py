"""Features made from a store of the states themselves, without the model."""

from collections.abc import Iterator

import torch
from torch import Tensor

from swift_bon.features.shards import Advance, Pack, Shard, nobody
from swift_bon.features.spec import SAMPLE_TOKENS, FeatureSpec, encode
from swift_bon.features.store import FeatureStore

SAMPLE_SHARDS = 256  # enough, as each holds many prompts


class StoredStates:
    """A source for `write_store`: the wanted prompts of a store, under another spec.

    Args:
        states: the store of the states themselves.
        spec: what is made of them; its layers are among those of the store.
    """

    def __init__(self, states: FeatureStore, spec: FeatureSpec):
        self.spec = spec
        self._states = states
        self._blocks = states.spec.blocks_of(spec.layers)
        self._numbers = [
            number
            for number, shard in enumerate(states.shards)
            if any(position >= 0 for position in shard.prompts)
        ]
        self.shards = [self._wanted(number) for number in self._numbers]

    def read(self, shard: int, *, advance: Advance = nobody) -> Pack:
        """The features of a shard.

        Raises:
            ValueError: the store is damaged, or a number is too large for the dtype.
        """
        layers, offsets = self._layers(shard)
        advance(len(layers[0]))
        return Pack(encode(layers, self.spec), offsets)

    def sample(self, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """States of random tokens of every shard, or of 256, enough to find a projection from.

        L tensors `[tokens, H]` at a time.
        """
        generator = torch.Generator(device="cpu").manual_seed(seed)
        order = torch.randperm(len(self.shards), generator=generator, device="cpu")
        taken = order[:SAMPLE_SHARDS].tolist()
        share = SAMPLE_TOKENS / max(sum(self.shards[shard].num_tokens for shard in taken), 1)
        for shard in taken:
            layers, _ = self._layers(shard)
            num_tokens = min(len(layers[0]), int(share * len(layers[0])) + 1)
            order = torch.randperm(len(layers[0]), generator=generator, device="cpu")
            tokens = order[:num_tokens]
            yield tuple(layer[tokens] for layer in layers)

    def _wanted(self, number: int) -> Shard:
        shard = self._states.shards[number]
        members = [index for index, position in enumerate(shard.prompts) if position >= 0]
        if len(members) == len(shard.prompts):
            return shard
        lengths = self._states.read(number).offsets.diff()
        return Shard(
            [shard.prompts[index] for index in members],
            [shard.num_candidates[index] for index in members],
            int(lengths[self._is_wanted(number)].sum()),
        )

    def _layers(self, shard: int) -> tuple[tuple[Tensor, ...], Tensor]:
        """The wanted states of a shard, L tensors `[tokens, H]`, and their offsets."""
        number = self._numbers[shard]
        pack = self._states.read(number)
        is_wanted = self._is_wanted(number)  # [M]
        lengths = pack.offsets.diff()
        rows = pack.states
        if not is_wanted.all():
            rows = rows[is_wanted.repeat_interleave(lengths)]
        views = rows.unflatten(1, (self._states.spec.num_blocks, -1))
        lengths = lengths[is_wanted]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        return tuple(views[:, block] for block in self._blocks), offsets

    def _is_wanted(self, number: int) -> Tensor:
        """bool `[M]`, by candidate."""
        shard = self._states.shards[number]
        positions = torch.tensor(shard.prompts, dtype=torch.int64, device="cpu")
        counts = torch.tensor(shard.num_candidates, dtype=torch.int64, device="cpu")
        return (positions >= 0).repeat_interleave(counts)
