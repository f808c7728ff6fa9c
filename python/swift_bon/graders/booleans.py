r"""Yes or no, true or false: "\boxed{Yes}" or "the answer is no"."""

import re

from swift_bon.graders.boxed import last_boxed, unwrap
from swift_bon.graders.question import Grade, Question
from swift_bon.graders.stated import stated_phrase

name = "boolean"

VALUES = {"yes": True, "true": True, "no": False, "false": False}
_WORD = re.compile(rf"[\W_]*({'|'.join(VALUES)})[\W_]*", re.IGNORECASE)
_BEFORE_COMMA = re.compile(rf"[\W_]*({'|'.join(VALUES)})[,.:;!]\s", re.IGNORECASE)
_FIRST_WORD = re.compile(rf"[\W_]*({'|'.join(VALUES)})\b", re.IGNORECASE)


def reference_fault(reference: str) -> str | None:
    """Why a reference cannot be graded against; None where it can."""
    if reference.lower() in VALUES:
        return None
    return f"reference is {reference!r}, expected yes, no, true or false"


def grade(question: Question, text: str) -> Grade:
    """The word in the last box, else after the last "the answer is", else the whole last line.

    A yes votes with a true, whatever the spelling: the answer is spelled as the reference is, or
    as its opposite.
    """
    word = _read(text)
    if word is None:
        return Grade(None, False)
    correct = VALUES[word.lower()] == VALUES[question.reference.lower()]
    return Grade(question.reference if correct else _opposite(question.reference), correct)


def _read(text: str) -> str | None:
    boxed = last_boxed(text)
    word = None if boxed is None else _of_box(unwrap(boxed))
    if word is None:
        clause = stated_phrase(text)
        word = None if clause is None else _FIRST_WORD.match(unwrap(clause))
    if word is None:
        word = _WORD.fullmatch(text.rstrip().rpartition("\n")[2])
    return None if word is None else word[1]


def _of_box(boxed: str) -> re.Match | None:
    """ "No" and "No, the coin is tails", but not "Yes or no"."""
    return _WORD.fullmatch(boxed) or _BEFORE_COMMA.match(boxed)


def _opposite(word: str) -> str:
    opposites = {"yes": "no", "no": "yes", "true": "false", "false": "true"}
    opposite = opposites[word.lower()]
    return opposite.capitalize() if word[0].isupper() else opposite
