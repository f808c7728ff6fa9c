r"""Python literals: "\boxed{[1, 'a']}". Read by `ast.literal_eval`, so nothing is ever run."""

import ast
import re

from swift_bon.graders.boxed import last_boxed, unwrap
from swift_bon.graders.question import Grade, Question
from swift_bon.graders.stated import stated_phrase

name = "literal"

LONGEST_LITERAL = 3000  # characters; str() refuses ints of more than 4,300 digits
UNREADABLE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)

_ESCAPED = re.compile(r"\\([{}_#$%&])")
_LATEX_SPACE = re.compile(r"\\[,;:! ]|\\q?quad\b")
_SIZED = re.compile(r"\\(?:left|right)(?=\s*\\?[\[\](){}|.])")
_STRANGE_ESCAPE = re.compile(r"\\(?:\\|['\"abfnrtvxuUN0-7\n]|(?P<strange>[\s\S]|$))")
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


class _Unread:
    """In the place of a value, where a text is no literal: None is a value."""


def reference_fault(reference: str) -> str | None:
    """Why a reference cannot be graded against; None where it can."""
    if read_literal(reference) is not _Unread:
        return None
    shown = reference if len(reference) <= 80 else reference[:77] + "..."
    return f"reference is {shown!r}, expected a Python literal such as [1, 'a'] or None"


def grade(question: Question, text: str) -> Grade:
    """The literal in the last box, else after the last "the answer is".

    Values are compared as Python compares them, but True is not 1. A string may come without its
    quotes where the reference is a string.
    """
    boxed = last_boxed(text)
    written = (stated_phrase(text) or "").removesuffix(".") if boxed is None else boxed
    expected = read_literal(question.reference)
    values = [read_literal(form) for form in _forms(written)]
    values = [value for value in values if value is not _Unread]
    if not values and isinstance(expected, str) and boxed and len(boxed) <= LONGEST_LITERAL:
        values = [unwrap(_clean(boxed)).strip("'\"")]
    if not values:
        return Grade(None, False)
    if any(same_value(value, expected) for value in values):
        return Grade(question.reference, True)
    return Grade(spell_value(values[0]), False)


def read_literal(text: str) -> object:
    """The value of a literal, or the class `_Unread`."""
    text = text.strip()
    if not text or len(text) > LONGEST_LITERAL:
        return _Unread
    if any(escape["strange"] is not None for escape in _STRANGE_ESCAPE.finditer(text)):
        return _Unread  # LaTeX, or a string that Python reads with a warning
    try:
        return ast.literal_eval(text)
    except UNREADABLE:
        return _Unread


def _forms(written: str) -> list[str]:
    """A box as LaTeX shows it, and as it stands: a backslash may belong to a string."""
    return list(dict.fromkeys((unwrap(_clean(written)), unwrap(written), written)))


def _clean(written: str) -> str:
    written = _LATEX_SPACE.sub(" ", _SIZED.sub("", written))
    return _ESCAPED.sub(r"\1", written).translate(_QUOTES)


def same_value(first: object, second: object) -> bool:
    """Equality of literals, in which a bool never equals a number, at any depth."""
    return first == second and spell_value(first) == spell_value(second)


def spell_value(value: object) -> str:
    """One spelling for equal values: 1.0 as 1, sets and dicts in an order of their own."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    if isinstance(value, list | tuple):
        inside = ", ".join(map(spell_value, value))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, set):
        return "{" + ", ".join(sorted(map(spell_value, value))) + "}" if value else "set()"
    if isinstance(value, dict):
        pairs = sorted(f"{spell_value(k)}: {spell_value(v)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    return repr(value)
