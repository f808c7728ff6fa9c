"""The rollouts of the paper's own scripts, as their files have them.

Their files (github.com/aster2024/SWIFT, generate/) are one JSON list. For training a record is a
prompt: `prompt`, `reference`, `completions` (texts), `correctness` (one for each) and `steps` (the
completions cut in pieces). For tests a record is one completion: `idx`, `prompt`, `reference`,
`response`, `correctness`, `steps`; those of a prompt follow each other. The prompt is the question
alone: what the scripts put before it when they asked the model is not in the file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from swift_bon.tasks.rows import field, read_rows, texts


class Rollout(NamedTuple):
    """A prompt of the file with its completions, and whether each is correct."""

    prompt: str
    reference: str
    completions: list[str]
    correctness: list[bool]


def read_rollouts(source: str | Path) -> Iterator[Rollout]:
    """The prompts of a file of either kind, one after the other. Raises as `import_rollouts`."""
    key, kept = None, None  # completions that follow each other make up one prompt
    for where, row in read_rows(source):
        is_prompt = "completions" in row
        rollout = _read_row(row, is_prompt, where)
        row_key = None if is_prompt else (row.get("idx"), rollout.prompt, rollout.reference)
        if kept is not None and row_key is not None and row_key == key:
            kept.completions.extend(rollout.completions)
            kept.correctness.extend(rollout.correctness)
            continue
        if kept is not None:
            yield kept
        key, kept = row_key, rollout
    if kept is not None:
        yield kept


def _read_row(row: dict[str, Any], is_prompt: bool, where: str) -> Rollout:
    prompt = field(row, "prompt", str, where)
    reference = row.get("reference", "")
    if isinstance(reference, bool) or not isinstance(reference, str | int | float):
        raise ValueError(f"{where}: reference is {type(reference).__name__}, expected a string")
    if is_prompt:
        completions = texts(row, "completions", where)
        correctness = _labels(field(row, "correctness", list, where), where)
    elif "response" in row:
        completions = [field(row, "response", str, where)]
        correctness = _labels([field(row, "correctness", (bool, int), where)], where)
    else:
        raise ValueError(
            f"{where} has neither completions nor response, it has: {', '.join(map(str, row))}; "
            "expected prompt, completions and correctness"
        )
    if len(completions) != len(correctness):
        raise ValueError(
            f"{where}: correctness has {len(correctness)} labels for {len(completions)} "
            "completions, expected one for each"
        )
    return Rollout(prompt, str(reference), completions, correctness)


def _labels(values: list, where: str) -> list[bool]:
    for number, value in enumerate(values):
        if not isinstance(value, int) or value not in (0, 1):
            raise ValueError(
                f"{where}: correctness[{number}] is {value!r:.80}, expected true, false, 1 or 0"
            )
    return [bool(value) for value in values]
