r"""Mathematics: the last box, "#### 18", "the answer is 18"; compared exactly or by math-verify.

What is the same text or a plain number is compared here, exactly. Everything else goes to
math-verify, in a process of its own (`math_process.py`).
"""

import re
import warnings
from functools import lru_cache

from swift_bon.graders.boxed import last_boxed, unwrap
from swift_bon.graders.math_process import MathProcess
from swift_bon.graders.numbers import (
    equal_numbers,
    is_row_of_numbers,
    read_number,
    spell_number,
)
from swift_bon.graders.question import Grade, Question
from swift_bon.graders.stated import SCALES, stated_math

name = "math"

LONGEST_ANSWER = 1000  # characters; the longest answer of MATH has under 200
TIMEOUT_S = 10.0  # of one comparison; what takes longer is not right
process = MathProcess(TIMEOUT_S)

_TYPED = {
    "\N{MINUS SIGN}": "-",
    "\N{GREEK SMALL LETTER PI}": r"\pi ",
    "\N{MULTIPLICATION SIGN}": r"\times ",
    "\N{DIVISION SIGN}": r"\div ",
    "\N{MIDDLE DOT}": r"\cdot ",
    "\N{DOT OPERATOR}": r"\cdot ",
    "\N{INFINITY}": r"\infty ",
    "\N{LESS-THAN OR EQUAL TO}": r"\le ",
    "\N{GREATER-THAN OR EQUAL TO}": r"\ge ",
    "\N{DEGREE SIGN}": r"^\circ ",
    "\N{SUPERSCRIPT TWO}": "^2",
    "\N{SUPERSCRIPT THREE}": "^3",
    "\N{UNION}": r"\cup ",
}
_TYPED_CHARACTER = re.compile("|".join(map(re.escape, _TYPED)))
_TYPED_ROOT = re.compile(r"(?<![\\A-Za-z])(?:sqrt|\N{SQUARE ROOT})\(([^()]*)\)")
_TYPED_SHORT_ROOT = re.compile(r"\N{SQUARE ROOT}([0-9]+|[a-z])")
_TYPED_PI = re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])")
# "3 5" is not 35
_LOOKS = re.compile(
    r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[!,;: ]|[$~]|(?<![0-9\s])\s+|\s+(?![0-9\s])"
)
_IN_BASE = re.compile(r"(?P<digits>[0-9A-Fa-f]+)_\{?(?P<base>[0-9]+)\}?")
_TEXT = re.compile(r"\\(?:text|mbox|mathrm)")
_NUMBER_IN_TEXT = re.compile(r"\\(?:text|mbox|mathrm)\s*\{([^{}]*[0-9][^{}]*)\}")
_NUMBER_OF = re.compile(
    r"(?P<number>\S*[0-9]\S*) (?P<things>[A-Za-z]{2,}(?: [A-Za-z]{2,}){0,5})\.?"
)
_NO_THINGS = re.compile(  # they change the number, or are mathematics
    r"\b(?:hundreds?|thousands?|millions?|billions?|trillions?|dozens?|percent|pi|sqrt|or|and|to|mod"
    r"|log|ln|sin|cos|tan)\b",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"(?<!\\)%|(?<=[0-9]) percent\b")
_WORDS = re.compile(r"[A-Za-z][A-Za-z ,'-]*")
_NAME = re.compile(  # of a value: x, x_1, \theta, AB, f(2), \angle ABC, \text{area}, total cost
    r"(?:\\(?:text|mbox|mathrm)\s*\{[^{}]*\}|(?:m ?)?\\angle ?[A-Z]{1,4}"
    r"|\\(?!sqrt|sin|cos|tan|log|ln|[dt]?frac)[A-Za-z]+|[A-Za-z]|[A-Z]{1,4}"
    r"|(?:[A-Za-z]+ ){0,5}[A-Za-z]{4,})'?(?:_\{?\w+\}?)?(?:\([^()]*\))?"
)
_MACRO = re.compile(r"\\[A-Za-z]+")
_SCALED = re.compile(
    rf"(?P<number>\S*[0-9])\s*(?:\\(?:text|mbox|mathrm)\s*\{{)?\s*(?P<scale>{'|'.join(SCALES)})s?\s*\}}?",
    re.IGNORECASE,
)
_SCALE_VALUES = dict(zip(SCALES, (100, 10**3, 10**6, 10**9, 10**12, 12), strict=True))


def reference_fault(reference: str) -> str | None:
    """Why a reference cannot be graded against; None where it can.

    Raises:
        ModuleNotFoundError: math-verify is not installed.
    """
    if not reference.strip():
        return "reference is empty, expected a mathematical answer"
    if len(reference) > LONGEST_ANSWER:
        return f"reference has {len(reference)} characters, expected at most {LONGEST_ANSWER}"
    if read_number(reference) is not None or process.ask("read", typed(reference)) == [True]:
        return None
    return f"math-verify reads no expression out of the reference {reference[:80]!r}"


def grade(question: Question, text: str) -> Grade:
    """Read the final answer out of a text and compare it with the reference.

    Right answers are spelled as the reference; of the others, equal ones have one spelling.

    Raises:
        ModuleNotFoundError: math-verify is not installed.
    """
    written = last_boxed(text) or stated_math(text)
    if written is None or len(written) > LONGEST_ANSWER:
        return Grade(None, False)
    return _compare(question.reference, written)


@lru_cache(maxsize=20_000)  # the candidates of a question repeat few answers
def _compare(reference: str, written: str) -> Grade:
    answer = written.strip()
    if _plain_look(answer) == _plain_look(reference):
        return Grade(reference, True)
    answer = _without_scale(answer)
    wrapped = _NUMBER_IN_TEXT.fullmatch(answer)  # \text{3 apples}
    answer = _without_things(wrapped[1].strip() if wrapped else answer)
    if _plain_look(answer) == _plain_look(reference):
        return Grade(reference, True)
    is_equal = equal_numbers(reference, answer)
    spelling = None
    if is_equal is None:
        is_equal = _equal_in_base(reference, answer)
    if is_equal is None and _TEXT.search(reference):
        spelling = _words(answer)
        is_equal = None if spelling is None else spelling == _words(reference)
    if is_equal is None and (is_row_of_numbers(answer) or _is_equation(reference, answer)):
        is_equal = False
    if is_equal is None:
        is_equal, spelling = _ask(reference, answer)
    if is_equal:
        return Grade(reference, True)
    number = read_number(answer)
    return Grade(spell_number(number) if number is not None else spelling or answer, False)


def _without_things(answer: str) -> str:
    """The number of "18 dollars", which math-verify reads as a product of letters."""
    quantity = _NUMBER_OF.fullmatch(answer)
    if quantity is None or _NO_THINGS.search(quantity["things"]):
        return answer
    return answer if read_number(quantity["number"]) is None else quantity["number"]


def _without_scale(answer: str) -> str:
    """The number of "5 million"."""
    scaled = _SCALED.fullmatch(answer)
    if scaled is None or (number := read_number(scaled["number"])) is None:
        return answer
    return spell_number(number * _SCALE_VALUES[scaled["scale"].lower()])


def _ask(reference: str, answer: str) -> tuple[bool, str | None]:
    said = process.ask("compare", typed(reference), typed(answer))
    if said is None:
        warnings.warn(
            f"comparing the answer {answer[:80]!r} with {reference[:80]!r} took more than "
            f"{process.timeout_s:g} s, or too much memory; it counts as wrong",
            stacklevel=2,
        )
        return False, None
    return said[0], said[1]


def typed(answer: str) -> str:
    r"""LaTeX for what is typed without: "2*sqrt(3)", "3π", "x² ≤ 4"."""
    answer = unwrap(answer) if not _TEXT.search(answer) else answer
    answer = _TYPED_SHORT_ROOT.sub(r"\\sqrt{\1}", _TYPED_ROOT.sub(r"\\sqrt{\1}", answer))
    answer = _PERCENT.sub(r"\\%", _TYPED_PI.sub(r"\\pi ", answer))
    return _TYPED_CHARACTER.sub(lambda character: _TYPED[character[0]], answer)


def _plain_look(answer: str) -> str:
    """Equal for answers that differ in spaces, dollars and the size of brackets."""
    answer = _LOOKS.sub("", answer.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac"))
    return answer.removesuffix(".")


def _equal_in_base(reference: str, answer: str) -> bool | None:
    """For 52_8: the digits count, and the base where the answer has one. None without bases.

    math-verify drops subscripts of numbers, so that to it 52_8 is 52_9.
    """
    numerals = [_IN_BASE.fullmatch("".join(text.split())) for text in (reference, answer)]
    if numerals == [None, None]:
        return None
    digits = [
        (part["digits"] if part else text).lstrip("0").upper()
        for part, text in zip(numerals, (reference, answer), strict=True)
    ]
    expected, base = (part["base"] if part else None for part in numerals)
    if base is None:
        return digits[0] == digits[1] if read_number(answer) is not None else None
    return digits[0] == digits[1] and base == (expected or "10")


def _is_equation(reference: str, answer: str) -> bool:
    """Whether 2x + 1 = 0 is said where a value is asked for; x = 5 and f(2) = 5 are values.

    math-verify compares the right side alone.
    """
    left, is_said, _ = answer.partition("=")
    left = left.strip()
    has_letters = re.search(r"[A-Za-z]", _MACRO.sub("", left)) is not None
    return bool(is_said) and "=" not in reference and has_letters and not _NAME.fullmatch(left)


def _words(answer: str) -> str | None:
    """The words of an answer that is nothing else, in lower case: "(C)" is "c"."""
    plain = unwrap(answer).strip("()[]. ")
    return " ".join(plain.casefold().split()) if _WORDS.fullmatch(plain) else None
