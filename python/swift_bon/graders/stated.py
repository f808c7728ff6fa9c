"""The answer that a text states in words, for texts without a box."""

import re

from swift_bon.graders.numbers import last_number

SEARCHED = 20_000  # characters at the end of a text; an answer is stated at its end
LONGEST_CLAUSE = 200

MARK = "####"
SCALES = ("hundred", "thousand", "million", "billion", "trillion", "dozen")
_SCALE = re.compile(rf"\b(?:{'|'.join(SCALES)})s?\b", re.IGNORECASE)
# A heading such as "2. Add them" is no answer.
_MARKED = re.compile(
    r"(?P<answer>[-+]? ?(?:\\?\$)? ?[0-9.,/]*[0-9] ?(?:\\?%)?)(?: (?P<things>[A-Za-z]+))?\.?"
)
_BLANKS = re.compile(r"[ \t]+")  # one is as good as many, and regular expressions are quicker
_PHRASE = re.compile(
    r"\banswer(?:[ \t]+[a-z]+){0,4}?(?:[ \t]+is|[ \t]*\**:)\**[ \t]*:?[ \t]*\n?[ \t]*"
    rf"(?=(?P<clause>[^\n]{{1,{LONGEST_CLAUSE}}}))",  # not used up: another may stand in it
    re.IGNORECASE,
)
_SPAN = re.compile(
    r"\$\$(?P<display>[^$]{1,1000})\$\$|(?<![\\$])\$(?P<inline>(?:\\.|[^$\n\\]){1,1000})\$"
    r"|\\\((?P<round>[^\n]{1,1000}?)\\\)|\\\[(?P<square>[\s\S]{1,1000}?)\\\]"
)
_WORD = re.compile(r"(?<![\\A-Za-z])(?!(?:pi|sqrt)\b)[A-Za-z]{2,}")
# In a formula these are letters, but not prose.
_LATEX_WORDS = re.compile(r"\\(?:text[a-z]*|math[a-z]*|mbox|begin|end|operatorname)\s*\{[^{}]*\}")
_SENTENCE_END = re.compile(r"\.(?:\s|$)|;|\s(?:because|since|so|as|which)\s")
_COMMA = re.compile(r",\s")


def stated_phrase(text: str) -> str | None:
    """What follows the last "the answer is" or "answer:", to the end of its line."""
    clause = None
    for phrase in _PHRASE.finditer(_BLANKS.sub(" ", text[-SEARCHED:])):
        clause = phrase["clause"]
    return None if clause is None else clause.strip().strip("*").strip()


def stated_math(text: str) -> str | None:
    """A final answer in mathematics: after "####", after "the answer is", or what comes last.

    What comes last is a formula between dollars or LaTeX brackets, or a number.
    """
    text = _BLANKS.sub(" ", text[-SEARCHED:])
    marked = _marked_answer(text)
    if marked is not None:
        return marked
    clause = stated_phrase(text)
    if clause is not None:
        answer = _answer_of_clause(clause)
        if answer is not None:
            return answer
    return _last_math(text)


def _marked_answer(text: str) -> str | None:
    """Of the last line that begins with #### and a number."""
    for line in reversed(text.splitlines()):
        rest = line.strip().removeprefix(MARK).strip()
        if MARK not in line or len(rest) > LONGEST_CLAUSE or not line.strip().startswith(MARK):
            continue
        mark = _MARKED.fullmatch(rest)
        if mark is not None:
            is_scaled = mark["things"] and _SCALE.fullmatch(mark["things"])
            return rest.removesuffix(".") if is_scaled else mark["answer"].strip()
    return None


def _answer_of_clause(clause: str) -> str | None:
    span = _first_span(clause)
    if span is not None:
        return span
    answer = _SENTENCE_END.split(clause, maxsplit=1)[0].strip().strip("*").strip()
    if _WORD.search(answer):  # without words it is a list or a pair: "5, 6" is not 5
        answer = _COMMA.split(answer, maxsplit=1)[0].strip().strip("*").strip()
    if not answer or answer.endswith(":"):
        return None
    number = last_number(answer)
    if number is not None and _SCALE.search(answer):  # "5 million" is not 5
        return answer
    if number is not None and _WORD.search(answer):  # "18 dollars", "about 5 km"
        return number[1]
    return answer if number is not None or len(answer.split()) <= 3 else None


def _first_span(clause: str) -> str | None:
    for span in _SPAN.finditer(clause):
        content = _content(span)
        if content and not _is_prose(content):
            return content
    return None


def _content(span: re.Match[str]) -> str:
    """What stands between its marks: one of the groups."""
    return next(filter(None, span.groups())).strip()


def _last_math(text: str) -> str | None:
    end, answer = last_number(text) or (-1, None)
    for span in _SPAN.finditer(text):
        content = _content(span)
        if content and span.end() >= end and not _is_prose(content):
            end, answer = span.end(), content
    return answer


def _is_prose(content: str) -> bool:
    """Whether what stands between dollars is no formula: in "$5 and then $6" they are prices."""
    return bool(_WORD.search(_LATEX_WORDS.sub("", content)))
