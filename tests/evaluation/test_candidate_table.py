"""From prompts to tensors: unequal N, missing scores, answers."""

import pytest

from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.evaluation.candidate_table import tabulate
from swift_bon.statistics.votes import NO_ANSWER

NAN = float("nan")
PROMPTS = [
    PromptCandidates(
        "a",
        "p",
        "r",
        [
            StoredCandidate("x", [1], True, "1", {"swift": 2.0, "length": 1}),
            StoredCandidate("y", [2], False, "2", {"swift": float("inf")}),
            StoredCandidate("z", [3], False, "1", {"swift": NAN}),
        ],
    ),
    PromptCandidates("b", "q", "r", [StoredCandidate("x", [1], True, None, {"mine": -1.0})]),
]


def test_table():
    table = tabulate(iter(PROMPTS))
    assert [prompt.id for prompt in table.prompts] == ["a", "b"]
    assert table.prompts[0].prompt_digest == PROMPTS[0].prompt_digest
    assert table.num_candidates.tolist() == [3, 1]
    assert table.present.tolist() == [[True] * 3, [True, False, False]]
    assert table.correct.tolist() == [[True, False, False], [True, False, False]]
    assert table.answers.tolist() == [[0, 1, 0], [NO_ANSWER] * 3]
    assert {name: str(column.tolist()) for name, column in table.scores.items()} == {
        "swift": "[[2.0, nan, nan], [nan, nan, nan]]",  # infinite counts as missing
        "length": "[[1.0, nan, nan], [nan, nan, nan]]",
        "mine": "[[nan, nan, nan], [-1.0, nan, nan]]",
    }


def test_no_prompts():
    with pytest.raises(ValueError, match="no prompts to evaluate; collect some first"):
        tabulate([])


def test_a_prompt_without_candidates():
    with pytest.raises(ValueError, match="prompt 'c' has no candidates; leave it out"):
        tabulate([*PROMPTS, PromptCandidates("c", "p", "r", [])])
