r"""Multiple choice: one letter, "\boxed{B}" or "the answer is (B)"."""

import re

from swift_bon.graders.boxed import last_boxed, unwrap
from swift_bon.graders.question import Grade, Question
from swift_bon.graders.stated import stated_phrase

name = "letter"

LETTERS = "ABCDEFGHIJ"
# In a box: B, b, (B), B), B. with or without the option's text, or the word before it.
_IN_BOX = re.compile(
    rf"(?:[Oo]ption |[Cc]hoice )?\(?([{LETTERS}{LETTERS.lower()}])(?:\)|[.:](?!\w)|$)"
)
# In words a letter must be set apart: "The answer is A good one" names no option.
_STATED = re.compile(
    rf"(?:(?:option|choice|letter)\s+)?\**(?:\(([{LETTERS}])\)|([{LETTERS}])(?:\)|\**\s*(?:[.,:;!]|$)))",
)
_ALONE = re.compile(rf"\**(?:\(([{LETTERS}])\)|([{LETTERS}])[.)]?)\**")


_WITH_TEXT = re.compile(rf"\**(?:\(([{LETTERS}])\)|([{LETTERS}])[.):])\**\s")  # A) 21


def reference_fault(reference: str) -> str | None:
    """Why a reference cannot be graded against; None where it can."""
    if len(reference) == 1 and reference in LETTERS:
        return None
    return f"reference is {reference!r}, expected a letter from {LETTERS[0]} to {LETTERS[-1]}"


def grade(question: Question, text: str) -> Grade:
    """The letter in the last box, else in the last "the answer is", else of the last line.

    There it stands alone, or before the text of its option: "A) 21".
    """
    answer = _read(text)
    return Grade(answer, answer == question.reference)


def _read(text: str) -> str | None:
    boxed = last_boxed(text)
    letter = None if boxed is None else _IN_BOX.match(unwrap(boxed))
    if letter:
        return letter[1].upper()
    clause = stated_phrase(text)
    letter = None if clause is None else _STATED.match(unwrap(clause))
    if letter is None:
        line = text.rstrip().rpartition("\n")[2].strip()
        letter = _ALONE.fullmatch(unwrap(line)) or _WITH_TEXT.match(line)
    return None if letter is None else letter[1] or letter[2]
