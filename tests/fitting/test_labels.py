"""Labels: groups stand on one side of the split, and a run is cut as its loss wants it."""

import itertools
import random

import pytest
import torch

from fit_cases import PlantedSource
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.features.shards import Pack, Shard
from swift_bon.fitting.labels import cut_run, label_prompts
from swift_bon.fitting.reading_order import Run

BOTH, RIGHT, WRONG = (True, False), (True, True), (False, False)


def make_prompts(verdicts) -> list[PromptCandidates]:
    return [
        PromptCandidates(f"q{n}", "?", "!", [StoredCandidate("", [7], v, None) for v in row])
        for n, row in enumerate(verdicts)
    ]


def held_out_groups(groups, validation: float) -> set[str]:
    labels = label_prompts(make_prompts([BOTH] * len(groups)), groups, validation)
    assert [not is_out for is_out in labels.is_validation] == labels.is_train
    return {group for group, is_out in zip(groups, labels.is_validation, strict=True) if is_out}


GROUPS = [f"group {n % 50}" for n in range(200)]


def test_groups_stand_on_one_side():
    labels = label_prompts(make_prompts([BOTH] * 200), GROUPS, 0.3)
    sides = {group: set() for group in GROUPS}
    for group, is_out in zip(GROUPS, labels.is_validation, strict=True):
        sides[group].add(is_out)
    assert all(len(side) == 1 for side in sides.values())
    assert 5 < sum(side == {True} for side in sides.values()) < 25


def test_groups_stay_when_others_are_added_or_the_order_changes():
    few = held_out_groups(GROUPS, 0.3)
    more = [*GROUPS, *(f"other {n}" for n in range(100))]
    assert held_out_groups(more, 0.3) & set(GROUPS) == few
    random.Random(0).shuffle(more)
    assert held_out_groups(more, 0.3) & set(GROUPS) == few
    assert few < held_out_groups(GROUPS, 0.6)  # a larger share only adds


def test_share_is_about_what_was_asked():
    groups = [f"g{n}" for n in range(2000)]
    for validation in (0.05, 0.15, 0.5, 0.9):
        share = len(held_out_groups(groups, validation)) / 2000
        assert share == pytest.approx(validation, abs=0.04)


def test_labels_are_those_of_the_candidates():
    verdicts = [BOTH, (False, True, True), WRONG, RIGHT, BOTH, BOTH, BOTH, BOTH]
    labels = label_prompts(make_prompts(verdicts), [f"g{n}" for n in range(8)], 0.4)
    assert [tuple(row.tolist()) for row in labels.correct] == verdicts
    assert all(row.dtype == torch.bool for row in labels.correct)


def test_prompts_may_be_all_right_or_all_wrong_where_a_side_is_not():
    verdicts = [RIGHT, WRONG] * 100
    labels = label_prompts(make_prompts(verdicts), GROUPS, 0.3)
    assert len(labels.correct) == 200


@pytest.mark.parametrize("verdict", [RIGHT, WRONG], ids=["all-right", "all-wrong"])
@pytest.mark.parametrize("side", ["training", "validation"])
def test_side_that_is_all_of_one_kind(side, verdict):
    held_out = label_prompts(make_prompts([BOTH] * 200), GROUPS, 0.3).is_validation
    verdicts = [verdict if is_out == (side == "validation") else BOTH for is_out in held_out]
    num_prompts = sum(is_out == (side == "validation") for is_out in held_out)
    num_right = 2 * num_prompts if verdict == RIGHT else 0
    message = (
        f"the {side} side of the split has {num_prompts} of 200 prompts, with {num_right} right "
        f"candidates out of {2 * num_prompts}, expected right and wrong ones; collect more"
    )
    with pytest.raises(ValueError, match=message):
        label_prompts(make_prompts(verdicts), GROUPS, 0.3)


@pytest.mark.parametrize("validation", [1e-9, 0.5, 0.999999])
def test_one_prompt_cannot_be_split(validation):
    with pytest.raises(ValueError, match="has 0 of 1 prompts"):
        label_prompts(make_prompts([BOTH]), ["g"], validation)


def test_validation_too_small_to_hold_anything():
    with pytest.raises(ValueError, match="the validation side .* 0 of 200 .* change validation"):
        label_prompts(make_prompts([BOTH] * 200), GROUPS, 1e-6)


# Prompts 1, none of ours, 0, 2 with 2, 1, 3 and 2 candidates.
SHARD = Shard([1, -1, 0, 2], [2, 1, 3, 2], 17)
LENGTHS = [2, 3, 4, 1, 0, 2, 5, 0]
OFFSETS = torch.tensor([0, *itertools.accumulate(LENGTHS)])
CORRECT = [
    torch.tensor([True, True, False]),
    torch.tensor([False, True]),
    torch.tensor([True, True]),
]
PACK = Pack(torch.arange(17.0)[:, None].repeat(1, 3), OFFSETS)


def cut(first: int, end: int, is_wanted=(True, True, True)):
    return cut_run(PACK, SHARD, Run(0, 0, first, end), CORRECT, list(is_wanted))


def test_run_is_a_view_of_its_rows():
    batch = cut(1, 3)
    assert batch.states.data_ptr() == PACK.states[5:].data_ptr()
    assert batch.states[:, 0].tolist() == list(range(5, 12))
    assert batch.offsets.tolist() == [0, 4, 5, 5, 7]


def test_tables_of_unequal_prompts():
    batch = cut(0, 4)
    assert batch.present.tolist() == [
        [True, True, False],
        [False, False, False],  # none of ours
        [True, False, True],  # one candidate has no scored token
        [True, False, False],  # nor has the last of all
    ]
    assert batch.correct.tolist() == [
        [False, True, False],
        [False, False, False],
        [True, True, False],
        [True, True, False],
    ]
    assert batch.rows[batch.present].tolist() == [0, 1, 3, 5, 6]
    assert batch.scored.tolist() == [*[True] * 5, *[False] * 4, *[True] * 8]
    scores = torch.arange(16.0).view(2, 8)
    table = batch.table(scores)
    assert table.shape == (2, 4, 3)
    assert table[1, 2, 2] == scores[1, 5]


def test_prompts_of_the_other_side_are_not_there():
    batch = cut(0, 4, is_wanted=(False, True, True))
    assert batch.present[2].tolist() == [False] * 3
    assert batch.scored.tolist() == [*[True] * 5, *[False] * 7, *[True] * 5]


def test_run_without_a_token():
    shard = Shard([0], [2], 0)
    pack = Pack(torch.zeros(0, 3), torch.zeros(3, dtype=torch.int64))
    batch = cut_run(pack, shard, Run(0, 0, 0, 1), [torch.tensor([True, False])], [True])
    assert batch.states.shape == (0, 3)
    assert not batch.present.any()
    assert batch.scored.shape == (0,)


def test_all_runs_of_a_source_say_what_its_prompts_say():
    source = PlantedSource(30, per_shard=6)
    labels = source.labels()
    seen = set()
    for number, shard in enumerate(source.shards):
        for first in range(0, len(shard.prompts), 2):
            run = Run(0, number, first, min(first + 2, len(shard.prompts)))
            batch = cut_run(source.read(number), shard, run, labels.correct, labels.is_train)
            for row, position in enumerate(shard.prompts[run.first : run.end]):
                if position < 0 or not labels.is_train[position]:
                    assert not batch.present[row].any()
                    continue
                seen.add(position)
                expected = source.candidates(position)
                for column, states in enumerate(expected):
                    assert bool(batch.present[row, column]) == (len(states) > 0)
                    m = batch.rows[row, column]
                    rows = slice(batch.offsets[m], batch.offsets[m + 1])
                    assert torch.equal(batch.states[rows], states)
                    assert batch.scored[rows].all()
                present = batch.correct[row, : len(expected)]
                assert torch.equal(present, source.correct[position])
                assert not batch.present[row, len(expected) :].any()
    assert seen == {position for position, is_in in enumerate(labels.is_train) if is_in}
