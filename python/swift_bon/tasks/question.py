"""What every task speaks: a question, the grade of one answer, and the task itself."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


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


class Task(Protocol):
    """A module or object with these is a task. `group` says which questions ask for one thing."""

    name: str

    def questions(self, split: str) -> list[Question]: ...

    def group(self, question_id: str) -> str: ...

    def grade(self, question: Question, text: str) -> Grade: ...
