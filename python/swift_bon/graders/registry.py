"""Graders by their names, and users' functions as graders."""

import importlib
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swift_bon.graders import booleans, letters, literals, mathematics, words
from swift_bon.graders.boxed import last_boxed
from swift_bon.graders.question import Grade, Question


@runtime_checkable
class Grader(Protocol):
    """A module or object with these is a grader.

    >>> from swift_bon.graders import Grader
    >>> from swift_bon.tasks import Grade
    >>> class Exact:
    ...     name = "exact"
    ...     def reference_fault(self, reference):
    ...         return None  # any can be graded against
    ...     def grade(self, question, text):
    ...         return Grade(text, text == question.reference)
    >>> isinstance(Exact(), Grader)
    True
    """

    @property
    def name(self) -> str: ...

    def reference_fault(self, reference: str) -> str | None: ...

    def grade(self, question: Question, text: str) -> Grade: ...


GRADERS: dict[str, Grader] = {
    grader.name: grader for grader in (mathematics, letters, booleans, literals, words)
}


@dataclass(frozen=True)
class FunctionGrader:
    """A user's function as a grader: any reference is good, and the function says what is right.

    Args:
        function: from a question and a text to a `Grade`, or to True or False. Then the answer
            that votes is the reference where it is right, else what the last box holds.
        name: how the settings of a file name it.

    >>> from swift_bon.graders import FunctionGrader
    >>> from swift_bon.tasks import Question
    >>> grader = FunctionGrader(lambda question, text: question.reference in text, "contains")
    >>> grader.grade(Question("own/test/0", "own", "What is 6 x 7?", "42"), "It is 42.")
    Grade(answer='42', correct=True)
    """

    function: Callable[[Question, str], Grade | bool]
    name: str

    def reference_fault(self, reference: str) -> str | None:
        return None

    def grade(self, question: Question, text: str) -> Grade:
        """What the function says.

        Raises:
            TypeError: it is neither a `Grade` nor a bool.
        """
        said = self.function(question, text)
        if isinstance(said, bool):
            return Grade(question.reference if said else last_boxed(text), said)
        if (
            isinstance(said, tuple)
            and len(said) == 2
            and isinstance(said[0], str | None)
            and isinstance(said[1], bool)
        ):
            return Grade(*said)
        raise TypeError(
            f"grader {self.name} returned {said!r} for the question {question.id!r}, expected "
            "True, False, or Grade(answer, correct) with a string or None and a bool"
        )


def load_grader(grader: str | Callable[[Question, str], Grade | bool] | Grader) -> Grader:
    """A grader by its name, by "package.module:function", or from a function.

    Args:
        grader: one of `GRADERS`, a function of a question and a text, or a `Grader`.

    Raises:
        ValueError: no grader of that name, or nothing of that name in the module.
        ModuleNotFoundError: there is no such module.
        TypeError: none of these.

    >>> from swift_bon.graders import load_grader
    >>> from swift_bon.tasks import Question
    >>> grader = load_grader("text")
    >>> grader.grade(Question("own/test/0", "own", "The capital of Italy?", "Rome"), "**rome**")
    Grade(answer='Rome', correct=True)
    """
    if isinstance(grader, str):
        if grader in GRADERS:
            return GRADERS[grader]
        return FunctionGrader(_import_function(grader), grader)
    if isinstance(grader, Grader):
        return grader
    if not callable(grader):
        raise TypeError(
            f"grader is {type(grader).__name__}, expected a name, a function of a question and a "
            "text, or an object with name, reference_fault and grade"
        )
    named = grader if hasattr(grader, "__qualname__") else type(grader)
    return FunctionGrader(grader, f"{named.__module__}:{named.__qualname__}")


def _import_function(path: str) -> Callable:
    module_name, colon, attributes = path.partition(":")
    if not (module_name and colon and attributes):
        raise ValueError(
            f"grader is {path!r}, expected one of: {', '.join(GRADERS)}, or your own as "
            "package.module:function"
        )
    try:
        function = operator.attrgetter(attributes)(importlib.import_module(module_name))
    except AttributeError as error:
        raise ValueError(
            f"grader is {path!r}, but {module_name} has no {attributes!r}; check the name"
        ) from error
    if not callable(function):
        raise ValueError(f"grader is {path!r}, which is {function!r}, expected a function")
    return function
