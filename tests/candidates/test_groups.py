"""Groups: what asks for one thing stands on one side of the split."""

import dataclasses

import pytest

from feature_cases import random_prompts, write_candidates
from swift_bon.candidates.files import read_labels
from swift_bon.candidates.groups import groups_of
from swift_bon.seeds import split_rank
from swift_bon.tasks.registry import TASKS

PROMPTS = random_prompts(12)


def test_a_known_task_says_what_belongs_together():
    assert groups_of(PROMPTS, "basics") == [TASKS["basics"].group(p.id) for p in PROMPTS]


def test_prompts_of_one_text_stand_together(tmp_path):
    """The same question twice, under two ids, in a file of an unknown task."""
    first, second = PROMPTS[1], dataclasses.replace(PROMPTS[1], id="again")
    other = dataclasses.replace(PROMPTS[2], candidates=PROMPTS[1].candidates)
    groups = groups_of([first, second, other], "somebody's")
    assert groups[0] == groups[1] != groups[2]
    path = write_candidates(tmp_path / "a.jsonl", [first, second, other])
    assert groups_of(read_labels(path), "somebody's") == groups


@pytest.mark.parametrize("prompt_id", ["elsewhere/1", "", "17"])
def test_an_id_that_is_none_of_the_task(prompt_id):
    prompt = dataclasses.replace(PROMPTS[0], id=prompt_id)
    with pytest.raises(ValueError, match="'basics' has no question .*; give the candidates anoth"):
        groups_of([PROMPTS[1], prompt], "basics")


def test_ranks_lie_between_zero_and_one():
    ranks = [split_rank(prompt.id) for prompt in PROMPTS]
    assert len(set(ranks)) == len(ranks)
    assert all(0 <= rank < 1 for rank in ranks)
