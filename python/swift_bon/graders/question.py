"""What every task and every grader speak: a question, and the grade of one answer."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Question:
    """One prompt with its reference answer; `id` is stable between versions of a task.

    >>> from swift_bon.tasks import Question
    >>> Question("own/test/0", "own", "What is 6 x 7?", "42").reference
    '42'
    """

    id: str
    kind: str
    prompt: str
    reference: str


class Grade(NamedTuple):
    """The answer read from a text, in the spelling of references, or None where there is none.

    >>> from swift_bon.graders import load_grader
    >>> from swift_bon.tasks import Question
    >>> question = Question("own/test/0", "own", "Which is even? (A) 3 (B) 4", "B")
    >>> load_grader("letter").grade(question, "So the answer is (B).")
    Grade(answer='B', correct=True)
    """

    answer: str | None
    correct: bool
