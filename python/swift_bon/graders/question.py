"""What every task speaks: a question, the grade of one answer, and the task itself."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Question:
    """One prompt with its reference answer; `id` is stable between versions of a task."""

    id: str
    kind: str
    prompt: str
    reference: str


class Grade(NamedTuple):
    """The answer read from a text, in the spelling of references, or None where there is none."""

    answer: str | None
    correct: bool
