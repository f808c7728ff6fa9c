"""The built-in task `basics`: capitals, times tables, sums and differences.

Two things are fixed for good, because results are compared across them: which questions there are
and in which split each stands. Both follow from sha256 of plain keys, never from a random module.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

from swift_bon.graders.question import Grade, Question
from swift_bon.tasks.capitals import COUNTRY_CAPITALS, STATE_CAPITALS

name = "basics"

SPLITS = ("train", "test", "all")

WORDINGS = {
    "capital": (
        "What is the capital of {}?",
        "Which city is the capital of {}?",
        "Name the capital of {}.",
    ),
    "times": ("What is {} times {}?", "What is {} x {}?", "How much is {} times {}?"),
    "sum": ("What is {} + {}?", "What is {} plus {}?", "How much is {} + {}?"),
    "difference": ("What is {} - {}?", "How much is {} - {}?"),
}
LARGEST_FACTOR = 12
LARGEST_TERM = 15
LARGEST_MINUEND = 20


def questions(split: str) -> list[Question]:
    """The questions of "train", "test" or "all", kinds mixed, in an order that never changes."""
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of: {', '.join(SPLITS)}")
    return [
        question for fact, question in _facts_and_questions() if split in ("all", _split_of(fact))
    ]


def group(question_id: str) -> str:
    """The fact a question asks for: its other wordings and orders have the same."""
    facts = _fact_of_question()
    if question_id not in facts:
        raise ValueError(f"question {question_id!r} is not one of the task {name!r}")
    return facts[question_id]


def grade(question: Question, text: str) -> Grade:
    """Read the answer from a model's text and compare it with the reference, exactly.

    Numbers: the last number. Capitals: the first known capital that the question does not name.
    """
    if question.kind == "capital":
        answer = _first_capital(text, question.prompt)
    elif question.kind in ("times", "sum", "difference"):
        answer = _last_number(text)
    else:
        raise ValueError(
            f"question {question.id!r} has kind {question.kind!r}, "
            "expected 'capital', 'times', 'sum' or 'difference'"
        )
    return Grade(answer, answer == question.reference)


# The questions, each with its fact. Questions of one fact stand in the same split: what a head
# learned from "7 times 8" must not answer "8 times 7" in the test.


@lru_cache(maxsize=1)
def _facts_and_questions() -> tuple[tuple[str, Question], ...]:
    pairs = [*_capitals(), *_times(), *_sums(), *_differences()]
    return tuple(sorted(pairs, key=lambda pair: _hash(pair[1].id)))


@lru_cache(maxsize=1)
def _fact_of_question() -> dict[str, str]:
    return {question.id: fact for fact, question in _facts_and_questions()}


def _hash(key: str) -> int:
    return int.from_bytes(sha256(key.encode()).digest(), "big")


def _split_of(fact: str) -> str:
    return "test" if _hash(fact) % 5 == 0 else "train"


def _word(
    kind: str, fact: str, item: str, values: tuple[object, ...], reference: object
) -> Iterator[tuple[str, Question]]:
    """One question for each wording, `item` naming them: `sum/9+12/1`, `sum/9+12/2`, ..."""
    for number, wording in enumerate(WORDINGS[kind], start=1):
        prompt = wording.format(*values)
        yield fact, Question(f"{item}/{number}", kind, prompt, str(reference))


def _capitals() -> Iterator[tuple[str, Question]]:
    for place, names in COUNTRY_CAPITALS.items():
        fact = "capital/" + _fold(place.removeprefix("the ")).replace(" ", "-")
        phrase = f"the country of {place}" if place in STATE_CAPITALS else place  # Georgia
        yield from _word("capital", fact, fact, (phrase,), names[0])
    for place, names in STATE_CAPITALS.items():
        fact = "capital/us-" + _fold(place).replace(" ", "-")
        yield from _word("capital", fact, fact, (f"the US state of {place}",), names[0])


def _times() -> Iterator[tuple[str, Question]]:
    factors = range(1, LARGEST_FACTOR + 1)
    for a, b in ((a, b) for a in factors for b in factors):
        fact = f"times/{min(a, b)}x{max(a, b)}"
        yield from _word("times", fact, f"times/{a}x{b}", (a, b), a * b)


def _sums() -> Iterator[tuple[str, Question]]:
    terms = range(1, LARGEST_TERM + 1)
    for a, b in ((a, b) for a in terms for b in terms):
        fact = f"sum/{min(a, b)}+{max(a, b)}"
        yield from _word("sum", fact, f"sum/{a}+{b}", (a, b), a + b)


def _differences() -> Iterator[tuple[str, Question]]:
    for a in range(2, LARGEST_MINUEND + 1):
        for b in range(1, a):
            fact = f"difference/{a}-{b}"
            yield from _word("difference", fact, fact, (a, b), a - b)


# Numbers.

# A run of digits with points and commas inside it, no letter at either end. The lookarounds let a
# match begin only where a run begins and end only where it ends, which keeps the search linear.
_NUMBER_RUN = re.compile(
    r"""
    (?<![^\W_]) (?<![0-9][.,])
    (?: (?<![^\s=-])(?=[.][0-9]) | (?=[0-9]) )      # " .5" is a half, "end.5" is 5
    [0-9]* (?: [.,][0-9]+ )*
    (?! [^\W_] | [.,][0-9] )
    """,
    re.VERBOSE,
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_PLAIN = re.compile(r"([0-9]*)(?:\.([0-9]+))?")
_MINUS = ("-", "\N{MINUS SIGN}", "\N{EN DASH}")


def _last_number(text: str) -> str | None:
    """The last number as a canonical string: "1,200.0" is "1200", "-07" is "-7", ".50" is "0.5".

    Strings, because int() of a few thousand digits is slow and, past a limit, an error.
    """
    for match in reversed(list(_NUMBER_RUN.finditer(text))):
        run, start = match[0], match.start()
        if _GROUPED.fullmatch(run):
            run = run.replace(",", "")
        elif "," in run:  # a list such as "12,9": its last member, and no sign can stand before it
            run, start = run.rpartition(",")[2], 0
        plain = _PLAIN.fullmatch(run)
        if plain is None:  # "1.2.3" is a version or a date
            continue
        whole, fraction = plain[1].lstrip("0") or "0", (plain[2] or "").rstrip("0")
        number = f"{whole}.{fraction}" if fraction else whole
        return f"-{number}" if number != "0" and _has_sign(text, start) else number
    return None


def _has_sign(text: str, start: int) -> bool:
    """Whether a minus right before `start` is a sign, not an operator or a hyphen."""
    if start == 0 or text[start - 1] not in _MINUS:
        return False
    before = text[: start - 1]
    if before[-1:].isalnum() or before.endswith(_MINUS):
        return False
    operand = before.rstrip(" \t")[-1:]  # not across lines: a line may start with a sign
    return not (operand.isdigit() or operand in (")", "]", "}"))


# Capitals.


def _fold(text: str) -> str:
    """Lower-case ASCII words with one space between: "N’Djamena!" is "n djamena"."""
    return " ".join("".join(map(_fold_character, text)).split())


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    # One at a time: normalising a whole text sorts runs of accents, in quadratic time.
    if unicodedata.combining(character):
        return ""
    parts = unicodedata.normalize("NFKD", character).casefold()
    return "".join(part for part in parts if part.isascii() and part.isalnum()) or " "


@lru_cache(maxsize=1)
def _capital_search() -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern of all folded names, longest first, and the reference of each."""
    tables = (*COUNTRY_CAPITALS.values(), *STATE_CAPITALS.values())
    references = {_fold(capital): names[0] for names in tables for capital in names}
    longest_first = sorted(references, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b"), references


def _first_capital(text: str, prompt: str) -> str | None:
    """The reference spelling of the first capital in `text` that is not a word of the prompt.

    Asked about the US state of Washington, a text will name Washington before the answer.
    """
    pattern, references = _capital_search()
    asked = f" {_fold(prompt)} "
    for match in pattern.finditer(_fold(text)):
        if f" {match[0]} " not in asked:
            return references[match[0]]
    return None
