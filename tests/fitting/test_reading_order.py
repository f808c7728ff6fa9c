"""The order of reading: every wanted prompt once an epoch, one window of shards at a time."""

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fit_cases import PlantedSource
from swift_bon.features.shards import Shard
from swift_bon.fitting import reading_order
from swift_bon.fitting.reading_order import Reader, Run, count_wanted, plan_epoch

TOKEN_BYTES = 10


def make_shards(counts: list[list[int]], tokens_per_candidate: int = 3) -> list[Shard]:
    """Prompts numbered through; a count below 0 is of a prompt that is not among ours."""
    positions = itertools.count()
    return [
        Shard(
            [next(positions) if count > 0 else -1 for count in shard],
            [abs(count) for count in shard],
            sum(map(abs, shard)) * tokens_per_candidate,
        )
        for shard in counts
    ]


def prompts_of(shards, steps, is_wanted) -> list[int]:
    """The wanted ones, in the order in which they come."""
    found = []
    for run in itertools.chain.from_iterable(steps):
        members = shards[run.shard].prompts[run.first : run.end]
        found += [position for position in members if position >= 0 and is_wanted[position]]
    return found


def wanted_of(shards, step, is_wanted) -> int:
    return sum(count_wanted(shards[run.shard], run, is_wanted) for run in step)


counts = st.lists(
    st.lists(st.integers(-3, 9).filter(bool), min_size=1, max_size=12), min_size=1, max_size=6
)


@given(
    counts=counts,
    batch_size=st.sampled_from([1, 2, 5, 16, 1000]),
    seed=st.integers(0, 3),
    unwanted=st.sets(st.integers(0, 60)),
    window=st.sampled_from([1, 500, 10**9]),
)
def test_every_wanted_prompt_comes_once(counts, batch_size, seed, unwanted, window):
    shards = make_shards(counts)
    num_prompts = sum(count > 0 for shard in counts for count in shard)
    is_wanted = [position not in unwanted for position in range(num_prompts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_order, "WINDOW_BYTES", window)
        steps = plan_epoch(shards, is_wanted, batch_size, TOKEN_BYTES, seed, 0)
    found = prompts_of(shards, steps, is_wanted)
    assert sorted(found) == [p for p in range(num_prompts) if is_wanted[p]]
    assert all(wanted_of(shards, [run], is_wanted) for step in steps for run in step)
    assert all(wanted_of(shards, step, is_wanted) >= batch_size for step in steps[:-1])
    windows = [run.window for step in steps for run in step]
    assert windows == sorted(windows)
    homes = {(run.shard, run.window) for step in steps for run in step}
    assert len(homes) == len({shard for shard, _ in homes})  # a shard is read once an epoch


def test_order_follows_from_seed_and_epoch():
    shards = make_shards([[2] * 20] * 4)
    wanted = [True] * 80
    plan = {
        (seed, epoch): plan_epoch(shards, wanted, 16, TOKEN_BYTES, seed, epoch)
        for seed in range(2)
        for epoch in range(2)
    }
    torch.manual_seed(7)  # the caller's random stream does not matter
    assert plan_epoch(shards, wanted, 16, TOKEN_BYTES, 0, 0) == plan[0, 0]
    orders = {tuple(prompts_of(shards, steps, wanted)) for steps in plan.values()}
    assert len(orders) == 4
    state = torch.get_rng_state()
    plan_epoch(shards, wanted, 16, TOKEN_BYTES, 0, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_cuts_differ_between_epochs():
    """Or the same neighbours would stand together for ever."""
    shards = make_shards([[2] * 40])
    cuts = [
        {(run.first, run.end) for step in plan_epoch(shards, [True] * 40, 32, 1, 0, epoch)
         for run in step}
        for epoch in range(4)
    ]  # fmt: skip
    assert len({frozenset(cut) for cut in cuts}) > 1


def test_steps_are_about_as_large_as_asked_and_mixed():
    shards = make_shards([[4] * 50] * 8)
    steps = plan_epoch(shards, [True] * 400, 64, TOKEN_BYTES, 0, 0)
    sizes = [wanted_of(shards, step, [True] * 400) for step in steps]
    assert all(64 <= size < 64 + 64 // reading_order.RUNS_PER_STEP for size in sizes[:-1])
    assert sum(sizes) == 1600
    num_shards = [len({run.shard for run in step}) for step in steps[:-1]]
    assert sum(num_shards) / len(num_shards) > 2


def test_windows_hold_what_they_may(monkeypatch):
    shards = make_shards([[3] * size for size in (5, 9, 2, 7, 7, 1, 4)])
    monkeypatch.setattr(reading_order, "WINDOW_BYTES", 1000)
    steps = plan_epoch(shards, [True] * 35, 8, TOKEN_BYTES, 0, 0)
    members: dict[int, set[int]] = {}
    for run in itertools.chain.from_iterable(steps):
        members.setdefault(run.window, set()).add(run.shard)
    sizes = {w: [shards[s].num_tokens * TOKEN_BYTES for s in m] for w, m in members.items()}
    assert sum(map(len, sizes.values())) == len(shards)
    assert all(sum(size) <= 1000 for size in sizes.values())
    assert 3 <= len(sizes) < len(shards)
    others = plan_epoch(shards, [True] * 35, 8, TOKEN_BYTES, 0, 1)
    assert [run.shard for run in others[0]] != [run.shard for run in steps[0]]


def test_shard_larger_than_a_window_stands_alone(monkeypatch):
    monkeypatch.setattr(reading_order, "WINDOW_BYTES", 1)
    shards = make_shards([[3] * 5] * 4)
    steps = plan_epoch(shards, [True] * 20, 4, TOKEN_BYTES, 0, 0)
    windows = {(run.window, run.shard) for step in steps for run in step}
    assert [window for window, _ in sorted(windows)] == [0, 1, 2, 3]


def test_huge_prompt_is_one_run():
    shards = make_shards([[2, 5000, 2], [2] * 10])
    steps = plan_epoch(shards, [True] * 13, 8, TOKEN_BYTES, 0, 0)
    holders = [run for step in steps for run in step if run.shard == 0 and run.first <= 1 < run.end]
    assert len(holders) == 1
    assert sorted(prompts_of(shards, steps, [True] * 13)) == list(range(13))


def test_nothing_wanted_takes_no_step():
    shards = make_shards([[2, -3], [1]])
    assert plan_epoch(shards, [False] * 2, 8, TOKEN_BYTES, 0) == []
    assert plan_epoch([], [], 8, TOKEN_BYTES, 0) == []


def test_only_shards_with_wanted_prompts_are_read():
    shards = make_shards([[2] * 3] * 4)
    is_wanted = [position in (4, 5) for position in range(12)]
    steps = plan_epoch(shards, is_wanted, 2, TOKEN_BYTES, 0)
    assert {run.shard for step in steps for run in step} == {1}


def test_candidates_are_counted_without_those_not_wanted():
    shard = Shard([3, -1, 0, 1], [2, 4, 8, 16], 30)
    is_wanted = [True, True, False, True]
    assert count_wanted(shard, Run(0, 0, 0, 4), is_wanted) == 2 + 8 + 16
    assert count_wanted(shard, Run(0, 0, 1, 3), is_wanted) == 8
    assert count_wanted(shard, Run(0, 0, 0, 4), [False, False, True, False]) == 0


@pytest.mark.parametrize("window_shards", [1, 3, 100])
def test_reader_reads_each_shard_once_and_lets_it_go(monkeypatch, window_shards):
    source = PlantedSource(60, per_shard=5)
    largest = max(shard.num_tokens for shard in source.shards) * source.spec.token_bytes
    monkeypatch.setattr(reading_order, "WINDOW_BYTES", window_shards * largest)
    is_wanted = source.labels().is_train
    steps = plan_epoch(source.shards, is_wanted, 8, source.spec.token_bytes, 0)
    reader = Reader(source, steps, is_wanted)
    of_window: dict[int, set[int]] = {}
    for run in itertools.chain.from_iterable(steps):
        of_window.setdefault(run.window, set()).add(run.shard)
    for run in itertools.chain.from_iterable(steps):
        pack = reader.pack(run)
        assert pack is reader.pack(run)
        assert set(reader._packs) <= of_window[run.window]
        announced = set().union(*(m for window, m in of_window.items() if window <= run.window + 1))
        assert set(source.announced) == announced
    for calls in (source.reads, source.announced):
        assert Counter(calls) == Counter(set(calls))
    assert set(source.reads) == set().union(*of_window.values())


def test_reader_says_which_prompts_are_wanted():
    source = PlantedSource(20, per_shard=20)
    is_wanted = [position % 2 == 1 for position in range(20)]  # the last one, too
    asked = []
    read = source.read
    source.read = lambda shard, wanted=None: asked.append(wanted) or read(shard, wanted)
    steps = plan_epoch(source.shards, is_wanted, 8, 1, 0)
    Reader(source, steps, is_wanted).pack(steps[0][0])
    assert asked == [[p >= 0 and p % 2 == 1 for p in source.shards[0].prompts]]
    assert asked[0][0] is False  # the first prompt of the shard is none of ours
