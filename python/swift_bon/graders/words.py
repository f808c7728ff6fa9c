"""Plain text: the box, or the last line, compared word by word without case."""

from swift_bon.graders.boxed import last_boxed, unwrap
from swift_bon.graders.question import Grade, Question
from swift_bon.graders.stated import stated_phrase

name = "text"

LONGEST_ANSWER = 1000  # characters


def reference_fault(reference: str) -> str | None:
    """Why a reference cannot be graded against; None where it can."""
    if not plain(reference):
        return "reference is empty, expected some text"
    if len(reference) > LONGEST_ANSWER:
        return f"reference has {len(reference)} characters, expected at most {LONGEST_ANSWER}"
    return None


def grade(question: Question, text: str) -> Grade:
    """What stands in the last box, else after the last "the answer is", else on the last line.

    Case, runs of spaces and a full stop at the end do not matter.
    """
    written = last_boxed(text) or stated_phrase(text) or text.rstrip().rpartition("\n")[2]
    answer = plain(written)
    if not answer or len(written) > LONGEST_ANSWER:
        return Grade(None, False)
    correct = answer == plain(question.reference)
    return Grade(question.reference if correct else answer, correct)


def plain(answer: str) -> str:
    """Words in lower case with one space between, without bold marks and what ends a sentence."""
    bare = answer.strip().strip("*").rstrip(" .!*")  # of "**42**." the full stop comes first
    return " ".join(unwrap(bare).casefold().split()).rstrip(". !")
