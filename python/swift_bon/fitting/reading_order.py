"""In which order fitting reads: shards in windows, runs of prompts shuffled within a window.

A store may be far larger than memory, and one run is one view of a shard, without a copy. So a
step takes a few runs of neighbouring prompts (neighbours by hash, not by kind) from all over the
window, and the order is a pure function of the seed and the epoch.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from tqdm import tqdm

from swift_bon.features.shards import FeatureSource, Pack, Shard
from swift_bon.seeds import stream_seed

WINDOW_BYTES = 2**30  # features that may be held at once
RUNS_PER_STEP = 4
BAR_DELAY_S = 0.5  # what is read faster shows no bar


class Run(NamedTuple):
    """Neighbouring prompts of one shard, from `first` up to `end`."""

    window: int
    shard: int
    first: int
    end: int


def plan_epoch(
    shards: Sequence[Shard],
    is_wanted: Sequence[bool],
    batch_size: int,
    token_bytes: int,
    *key: object,
) -> list[list[Run]]:
    """The runs of each step of an epoch: every wanted prompt once.

    Args:
        is_wanted: for each prompt, by position.
        batch_size: wanted candidates a step, at least; the last step may have fewer.
        token_bytes: what a token takes.
        *key: of the random order.
    """
    generator = torch.Generator(device="cpu").manual_seed(stream_seed("order", *key))
    steps: list[list[Run]] = [[]]
    num_candidates = 0
    for window, members in enumerate(_windows(shards, token_bytes, generator)):
        runs = [
            Run(window, shard, first, end)
            for shard in members
            for first, end in _runs(shards[shard], batch_size // RUNS_PER_STEP, generator)
        ]
        for index in torch.randperm(len(runs), generator=generator, device="cpu").tolist():
            run = runs[index]
            count = count_wanted(shards[run.shard], run, is_wanted)
            if not count:
                continue
            if num_candidates >= batch_size:
                steps.append([])
                num_candidates = 0
            steps[-1].append(run)
            num_candidates += count
    return steps if steps[0] else []


def count_wanted(shard: Shard, run: Run, is_wanted: Sequence[bool]) -> int:
    """Candidates of the wanted prompts of a run."""
    return sum(
        count
        for position, count in zip(
            shard.prompts[run.first : run.end],
            shard.num_candidates[run.first : run.end],
            strict=True,
        )
        if position >= 0 and is_wanted[position]
    )


def _windows(shards: Sequence[Shard], token_bytes: int, generator) -> Iterator[list[int]]:
    """Shards in random order, as many together as fit into `WINDOW_BYTES`."""
    window: list[int] = []
    num_bytes = 0
    for shard in torch.randperm(len(shards), generator=generator, device="cpu").tolist():
        shard_bytes = shards[shard].num_tokens * token_bytes
        if window and num_bytes + shard_bytes > WINDOW_BYTES:
            yield window
            window, num_bytes = [], 0
        window.append(shard)
        num_bytes += shard_bytes
    if window:
        yield window


def _runs(shard: Shard, num_candidates: int, generator) -> Iterator[tuple[int, int]]:
    """Cut a shard into runs of about so many candidates; where the cuts lie is random."""
    first = 0
    drawn = torch.randint(
        max(num_candidates, 1), (), generator=generator, dtype=torch.int64, device="cpu"
    )
    room = int(drawn) + 1
    for index, count in enumerate(shard.num_candidates):
        room -= count
        if room <= 0 or index == len(shard.num_candidates) - 1:
            yield first, index + 1
            first, room = index + 1, num_candidates


class Reader:
    """Packs of the shards of one window at a time; the source hears of each a window ahead."""

    def __init__(
        self,
        source: FeatureSource,
        steps: Sequence[Sequence[Run]],
        is_wanted: Sequence[bool],
        show_progress: bool = False,
    ):
        self._source, self._is_wanted = source, is_wanted
        self._show_progress = show_progress
        self._window = -1
        self._packs: dict[int, Pack] = {}
        self._shards_of: dict[int, set[int]] = {}
        for run in (run for step in steps for run in step):
            self._shards_of.setdefault(run.window, set()).add(run.shard)

    def pack(self, run: Run) -> Pack:
        if run.window != self._window:
            self._packs.clear()
            announced = (run.window, run.window + 1) if self._window < 0 else (run.window + 1,)
            self._window = run.window
            for window in announced:
                for shard in sorted(self._shards_of.get(window, ())):
                    self._source.will_read(shard)
        if run.shard not in self._packs:
            prompts = self._source.shards[run.shard].prompts
            wanted = [position >= 0 and self._is_wanted[position] for position in prompts]
            self._packs[run.shard] = self._read(run.shard, wanted)
        return self._packs[run.shard]

    def _read(self, shard: int, wanted: Sequence[bool]) -> Pack:
        """With a bar of its own where that takes long, as where a model makes the features."""
        if not self._show_progress:
            return self._source.read(shard, wanted)
        total = self._source.shards[shard].num_tokens
        look = {"unit": "token", "desc": "reading features", "leave": False, "disable": None}
        with tqdm(total=total, delay=BAR_DELAY_S, **look) as bar:
            return self._source.read(shard, wanted, bar.update)
