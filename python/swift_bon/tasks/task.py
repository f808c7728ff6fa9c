"""What every task speaks: the questions of a split, and the grade of one answer."""

from typing import NamedTuple, Protocol

from swift_bon.graders.question import Grade, Question


class Unparsable(NamedTuple):
    """A question that cannot be asked, because its answer could not be graded, and why.

    >>> from swift_bon.tasks import Unparsable
    >>> Unparsable("own/test/3", "reference is empty, expected some text").id
    'own/test/3'
    """

    id: str
    reason: str


class Loaded(NamedTuple):
    """The questions of a split, and those it has but which cannot be graded.

    >>> from swift_bon.tasks import Loaded, Question
    >>> loaded = Loaded([Question("own/test/0", "own", "What is 6 x 7?", "42")], unparsable=[])
    >>> len(loaded.questions), len(loaded.unparsable)
    (1, 0)
    """

    questions: list[Question]
    unparsable: list[Unparsable]


class Task(Protocol):
    """A module or object with these is a task.

    It may also have `group(question_id) -> str`, which says which questions ask for one thing;
    `load(split) -> Loaded`, if some of its questions may be unparsable; and `sampling`, arguments
    of `generate` that its answers need. Without them prompts of the same text form a group, all
    questions can be graded, and `collect` samples as it does by default.

    >>> from swift_bon.tasks import Grade, Question, load_questions
    >>> class Parity:
    ...     name = "parity"
    ...     def questions(self, split):
    ...         return [Question("parity/3", "parity", "Is 3 even?", "no")]
    ...     def grade(self, question, text):
    ...         return Grade(text, text == question.reference)
    >>> load_questions(Parity(), "test").questions[0].prompt
    'Is 3 even?'
    """

    @property
    def name(self) -> str: ...

    def questions(self, split: str) -> list[Question]: ...

    def grade(self, question: Question, text: str) -> Grade: ...


def load_questions(task: Task, split: str) -> Loaded:
    """The questions of any task, with those that cannot be graded.

    >>> from swift_bon.tasks import load_questions, load_task
    >>> loaded = load_questions(load_task("basics"), "test")
    >>> len(loaded.questions) >= 300, loaded.unparsable
    (True, [])
    """
    load = getattr(task, "load", None)
    return Loaded(task.questions(split), []) if load is None else load(split)
