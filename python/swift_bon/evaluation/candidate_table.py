"""Candidates as tensors: what the statistics need of a file, without its texts and tokens."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from swift_bon.candidates.records import PromptCandidates, PromptLabels
from swift_bon.statistics.votes import NO_ANSWER, number_answers


@dataclass(frozen=True)
class CandidateTable:
    """P prompts with at most N candidates; rows of fewer end with places that hold none."""

    prompts: list[PromptLabels]
    present: Tensor  # [P, N] bool
    correct: Tensor  # [P, N] bool
    answers: Tensor  # [P, N] int64: equal answers of a prompt have equal numbers
    scores: dict[str, Tensor]  # [P, N] float64 by method, NaN where a candidate has none

    @property
    def num_prompts(self) -> int:
        return len(self.prompts)

    @property
    def num_candidates(self) -> Tensor:
        """Of each prompt, int64 `[P]`."""
        return self.present.sum(dim=1)


def tabulate(prompts: Iterable[PromptCandidates]) -> CandidateTable:
    """Read prompts one after the other into a table.

    A score that is not finite counts as missing.

    Raises:
        ValueError: there are no prompts, or one has no candidates.
    """
    labels: list[PromptLabels] = []
    answers: list[Tensor] = []
    rows: dict[str, dict[int, array]] = {}  # by method, then prompt
    for number, prompt in enumerate(prompts):
        if not prompt.candidates:
            raise ValueError(f"prompt {prompt.id!r} has no candidates; leave it out")
        labels.append(PromptLabels(prompt.id, prompt.digest, prompt.prompt_digest, prompt.correct))
        answers.append(number_answers([candidate.answer for candidate in prompt.candidates]))
        for name in dict.fromkeys(name for c in prompt.candidates for name in c.scores):
            row = [candidate.scores.get(name, float("nan")) for candidate in prompt.candidates]
            rows.setdefault(name, {})[number] = array("d", row)
    if not labels:
        raise ValueError("there are no prompts to evaluate; collect some first")
    correct = [torch.tensor(prompt.correct, dtype=torch.bool, device="cpu") for prompt in labels]
    shape = (len(labels), max(map(len, correct)))
    table = CandidateTable(
        labels,
        _fill(
            torch.zeros(shape, dtype=torch.bool, device="cpu"),
            [torch.ones_like(row) for row in correct],
        ),
        _fill(torch.zeros(shape, dtype=torch.bool, device="cpu"), correct),
        _fill(torch.full(shape, NO_ANSWER, dtype=torch.int64, device="cpu"), answers),
        {},
    )
    for name, row_of in rows.items():
        column = torch.full(shape, float("nan"), dtype=torch.float64, device="cpu")
        for number, values in row_of.items():
            column[number, : len(values)] = torch.tensor(values, dtype=torch.float64, device="cpu")
        table.scores[name] = torch.where(column.isfinite(), column, float("nan"))
    return table


def _fill(table: Tensor, rows: list[Tensor]) -> Tensor:
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
