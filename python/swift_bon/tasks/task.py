"""What every task speaks: the questions of a split, and the grade of one answer."""

from typing import NamedTuple, Protocol

from swift_bon.graders.question import Grade, Question


class Unparsable(NamedTuple):
    """A question that cannot be asked, because its answer could not be graded, and why."""

    id: str
    reason: str


class Loaded(NamedTuple):
    """The questions of a split, and those it has but which cannot be graded."""

    questions: list[Question]
    unparsable: list[Unparsable]


class Task(Protocol):
    """A module or object with these is a task.

    It may also have `group(question_id) -> str`, which says which questions ask for one thing;
    `load(split) -> Loaded`, if some of its questions may be unparsable; and `sampling`, arguments
    of `generate` that its answers need. Without them prompts of the same text form a group, all
    questions can be graded, and `collect` samples as it does by default.
    """

    @property
    def name(self) -> str: ...

    def questions(self, split: str) -> list[Question]: ...

    def grade(self, question: Question, text: str) -> Grade: ...


def load_questions(task: Task, split: str) -> Loaded:
    """The questions of any task, with those that cannot be graded."""
    load = getattr(task, "load", None)
    return Loaded(task.questions(split), []) if load is None else load(split)
