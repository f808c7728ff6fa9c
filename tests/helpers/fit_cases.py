"""What the tests of fitting share: features in memory with a planted signal, and their labels."""

import dataclasses
import random
from collections.abc import Callable

import torch
from torch import Tensor

from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.features.shards import Moments, Pack, Shard, divide_moments, sum_moments
from swift_bon.features.spec import DTYPES, FeatureSpec
from swift_bon.fitting.head_fitting import HeadFitting
from swift_bon.fitting.labels import LabelledPrompts
from swift_bon.fitting.options import FitOptions
from swift_bon.tasks.registry import load_task

HELD_OUT_EVERY = 4
NOT_WANTED_EVERY = 5  # shards: a prompt that nobody asked for stands in front


class PlantedSource:
    """A `FeatureSource` whose right candidates lean to one side, told apart by all layers.

    Prompts have 1 to 5 candidates, candidates 0 to 6 tokens. What is not wanted reads as NaN.
    """

    def __init__(
        self,
        num_prompts: int = 48,
        *,
        num_layers: int = 3,
        hidden_size: int = 4,
        per_shard: int = 7,
        dtype: str = "float32",
        signal: float = 2.0,
        seed: int = 0,
    ):
        draw = torch.Generator().manual_seed(seed)
        layers = tuple(range(num_layers))
        self.spec = FeatureSpec("tiny/planted", num_layers, hidden_size, layers, "fed", dtype)
        dim = self.spec.dim
        direction = torch.randn(dim, generator=draw) * signal * dim**-0.5
        center, scale = torch.randn(2, dim, generator=draw)
        self.shards: list[Shard] = []
        self.reads: list[int] = []
        self.announced: list[int] = []
        self._packs: list[Pack] = []
        self.correct: list[Tensor] = [torch.empty(0)] * num_prompts
        order = torch.randperm(num_prompts, generator=draw).tolist()
        for number, first in enumerate(range(0, num_prompts, per_shard)):
            prompts = order[first : first + per_shard]
            if number % NOT_WANTED_EVERY == 0:
                prompts = [-1, *prompts]
            counts = torch.randint(1, 6, (len(prompts),), generator=draw)
            lengths = torch.randint(0, 7, (int(counts.sum()),), generator=draw)
            right = torch.rand(len(lengths), generator=draw) < 0.4
            side = right.float().repeat_interleave(lengths)[:, None] - 0.4
            noise = torch.randn(int(lengths.sum()), dim, generator=draw)
            states = (noise + side * direction) * (0.5 + scale.abs()) + 3 * center
            offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
            self.shards.append(Shard(prompts, counts.tolist(), len(states)))
            self._packs.append(Pack(states.to(DTYPES[dtype]), offsets))
            for position, row in zip(prompts, right.split(counts.tolist()), strict=True):
                if position >= 0:
                    self.correct[position] = row

    def read(self, shard: int, wanted=None) -> Pack:
        self.reads.append(shard)
        states, offsets = self._packs[shard]
        if wanted is None:
            return Pack(states, offsets)
        counts = torch.tensor(self.shards[shard].num_candidates)
        kept = torch.tensor(wanted).repeat_interleave(counts).repeat_interleave(offsets.diff())
        return Pack(torch.where(kept[:, None], states.float(), NAN).to(states.dtype), offsets)

    def moments(self) -> Moments:
        num_tokens = sum(shard.num_tokens for shard in self.shards)
        return divide_moments(sum(sum_moments(pack.states) for pack in self._packs), num_tokens)

    def will_read(self, shard: int) -> None:
        self.announced.append(shard)

    def labels(self) -> LabelledPrompts:
        held_out = [index % HELD_OUT_EVERY == 0 for index in range(len(self.correct))]
        return LabelledPrompts(self.correct, [not is_out for is_out in held_out], held_out)

    def candidates(self, position: int) -> list[Tensor]:
        """`[tokens, D]` of each candidate of a prompt, found the slow way."""
        for shard, pack in zip(self.shards, self._packs, strict=True):
            if position in shard.prompts:
                index = shard.prompts.index(position)
                first = sum(shard.num_candidates[:index])
                numbers = range(first, first + shard.num_candidates[index])
                return [pack.states[pack.offsets[m] : pack.offsets[m + 1]] for m in numbers]
        raise KeyError(position)


NAN = float("nan")
OPTIONS = {
    "learning_rates": (0.03,),
    "seeds": (0,),
    "weight_decay": 0.1,
    "epochs": 3,
    "batch_size": 24,
}


def begin_fit(source: PlantedSource, **options) -> HeadFitting:
    return HeadFitting(source, source.labels(), FitOptions(**{**OPTIONS, **options}))


def run_fit(source: PlantedSource, **options) -> HeadFitting:
    """To its end."""
    fitting = begin_fit(source, **options)
    while not fitting.is_done:
        fitting.run_epoch()
    return fitting


def assert_same_heads(actual: HeadFitting, expected: HeadFitting) -> None:
    """Bit for bit, and with the same history."""
    for one, other in zip(actual.heads(), expected.heads(), strict=True):
        for name, value in other.state_dict().items():
            assert torch.equal(one.state_dict()[name], value), name
    assert actual.fits == expected.fits


RIGHT_TOKEN, WRONG_TOKEN, EOS = 10, 20, 2
TRAINING = {
    "epochs": 5,
    "seeds": (0,),
    "learning_rates": (0.03,),
    "weight_decay": 0.1,
    "validation": 0.3,
    "show_progress": False,
}


def planted_prompts(num_prompts: int = 40) -> list[PromptCandidates]:
    """Questions whose right candidates say one token, the wrong ones another."""
    draw = random.Random(0)
    rows = []
    for question in load_task("basics").questions("train")[:num_prompts]:
        candidates = []
        for number in range(4):
            correct = (number + len(rows)) % 3 == 0
            said = RIGHT_TOKEN if correct else WRONG_TOKEN
            ids = [draw.randrange(6, 60) for _ in range(draw.randrange(2, 6))]
            candidates.append(StoredCandidate("", [*ids, said, EOS], correct, None))
        rows.append(PromptCandidates(question.id, question.prompt, question.reference, candidates))
    return rows


def with_verdicts(
    prompts: list[PromptCandidates], verdict: Callable[[bool], bool]
) -> list[PromptCandidates]:
    """The same candidates with other labels, from the ones they have."""
    return [
        dataclasses.replace(
            row,
            candidates=[
                dataclasses.replace(candidate, correct=verdict(candidate.correct))
                for candidate in row.candidates
            ],
        )
        for row in prompts
    ]
