"""Which candidates are right, and on which side of the split their prompt stands."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from swift_bon.candidates.records import PromptCandidates, PromptLabels
from swift_bon.features.shards import Pack, Shard
from swift_bon.fitting.losses import LOSSES, LossName
from swift_bon.fitting.reading_order import Run
from swift_bon.seeds import split_rank


class LabelledPrompts(NamedTuple):
    """What fitting knows of each prompt, by position."""

    correct: list[Tensor]  # bool [N] each
    is_train: list[bool]
    is_validation: list[bool]


def label_prompts(
    prompts: Sequence[PromptCandidates | PromptLabels], groups: Sequence[str], validation: float
) -> LabelledPrompts:
    """Split by group: the prompts of one stand on one side, and stay there when others are added.

    Raises:
        ValueError: a side has no right or no wrong candidate.
    """
    correct = [torch.tensor(prompt.correct, dtype=torch.bool, device="cpu") for prompt in prompts]
    held_out = [split_rank(group) < validation for group in groups]
    for side, name in ((False, "training"), (True, "validation")):
        labels = [row for row, is_out in zip(correct, held_out, strict=True) if is_out == side]
        num_candidates = sum(map(len, labels))
        num_right = int(sum(row.sum() for row in labels))
        if not 0 < num_right < num_candidates:
            raise ValueError(
                f"the {name} side of the split has {len(labels)} of {len(prompts)} prompts, with "
                f"{num_right} right candidates out of {num_candidates}, expected right and wrong "
                "ones; collect more questions, or change validation"
            )
    return LabelledPrompts(correct, [not is_out for is_out in held_out], held_out)


def check_loss(labels: LabelledPrompts, loss: LossName) -> None:
    """Whether both sides have something that the loss compares, by the labels alone."""
    for is_wanted, side in ((labels.is_train, "training"), (labels.is_validation, "validation")):
        rows = [row[None] for row, is_in in zip(labels.correct, is_wanted, strict=True) if is_in]
        if not any(LOSSES[loss].count(row, torch.ones_like(row)).any() for row in rows):
            raise nothing_to_learn(side, loss)


def nothing_to_learn(side: str, loss: str) -> ValueError:
    return ValueError(
        f"the {side} side of the split has nothing for the loss {loss!r}: expected a prompt with "
        "scored tokens in right and in wrong candidates; collect more, or take the loss 'bce'"
    )


class RunBatch(NamedTuple):
    """The candidates of a run, as its loss wants them. P prompts of at most N candidates."""

    states: Tensor  # [tokens, D]
    offsets: Tensor  # [M + 1], from 0
    scored: Tensor  # [tokens] bool: of wanted prompts
    rows: Tensor  # [P, N]: which of the M candidates, 0 where there is none
    correct: Tensor  # [P, N] bool
    present: Tensor  # [P, N] bool: wanted, and with a scored token

    def table(self, scores: Tensor) -> Tensor:
        """`[S, M]` as `[S, P, N]`."""
        return scores[:, self.rows]


def cut_run(
    pack: Pack, shard: Shard, run: Run, correct: Sequence[Tensor], is_wanted: Sequence[bool]
) -> RunBatch:
    """The rows of a run, without a copy of its states."""
    counts = shard.num_candidates
    first, end = sum(counts[: run.first]), sum(counts[: run.end])
    offsets = pack.offsets[first : end + 1]
    lengths = offsets.diff()
    positions, counts = shard.prompts[run.first : run.end], counts[run.first : run.end]
    table = (len(positions), max(counts))
    rows = torch.zeros(table, dtype=torch.int64, device="cpu")
    is_correct = torch.zeros(table, dtype=torch.bool, device="cpu")
    present = torch.zeros(table, dtype=torch.bool, device="cpu")
    start = 0
    for index, (position, count) in enumerate(zip(positions, counts, strict=True)):
        if position >= 0 and is_wanted[position]:
            rows[index, :count] = torch.arange(
                start, start + count, dtype=torch.int64, device="cpu"
            )
            is_correct[index, :count] = correct[position]
            present[index, :count] = lengths[start : start + count] > 0
        start += count
    wanted = torch.zeros(len(lengths), dtype=torch.bool, device="cpu")
    wanted[rows[present]] = True
    return RunBatch(
        pack.states[offsets[0] : offsets[-1]],
        offsets - offsets[0],
        wanted.repeat_interleave(lengths),
        rows,
        is_correct,
        present,
    )
