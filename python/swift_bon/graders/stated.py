"""The answer that a text states in words, for texts without a box."""

import re

from swift_bon.graders.numbers import last_number

SEARCHED = 20_000  # characters at the end of a text; an answer is stated at its end
LONGEST_CLAUSE = 200

# A heading such as "#### 2. Add them" is no answer.
_MARKED = re.compile(
    r"^[ \t]*####[ \t]*(?P<answer>[-+]?[ \t]*(?:\\?\$)?[ \t]*[0-9.,/]*[0-9][ \t]*(?:\\?%)?)"
    r"(?:[ \t]+[A-Za-z]+)?\.?[ \t]*$",
    re.MULTILINE,
)
_PHRASE = re.compile(
    r"\banswer(?:[ \t]+[a-z]+){0,4}?(?:[ \t]+is|[ \t]*\**:)\**[ \t]*:?[ \t]*\n?[ \t]*"
    rf"(?=(?P<clause>[^\n]{{1,{LONGEST_CLAUSE}}}))",  # not used up: another may stand in it
    re.IGNORECASE,
)
_SPAN = re.compile(
    r"\$\$(?P<display>[^$]{1,1000})\$\$|(?<![\\$])\$(?P<inline>(?:\\.|[^$\n\\]){1,1000})\$"
    r"|\\\((?P<round>[^\n]{1,1000}?)\\\)|\\\[(?P<square>[\s\S]{1,1000}?)\\\]"
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
# In a formula these are letters, but not prose.
_LATEX_WORDS = re.compile(r"\\(?:text[a-z]*|math[a-z]*|mbox|begin|end|operatorname)\s*\{[^{}]*\}")
_SENTENCE_END = re.compile(r"\.(?:\s|$)|;|,\s|\s(?:because|since|so|as|which)\s")


def stated_phrase(text: str) -> str | None:
    """What follows the last "the answer is" or "answer:", to the end of its line."""
    clause = None
    for found in _PHRASE.finditer(text[-SEARCHED:]):
        clause = found["clause"]
    return None if clause is None else clause.strip().strip("*").strip()


def stated_math(text: str) -> str | None:
    """A final answer in mathematics: after "####", after "the answer is", or what comes last.

    What comes last is a formula between dollars or LaTeX brackets, or a number.
    """
    text = text[-SEARCHED:]
    marked = None
    for marked in _MARKED.finditer(text):  # noqa: B007
        pass
    if marked is not None:
        return marked["answer"].strip()
    clause = stated_phrase(text)
    if clause is not None:
        answer = _answer_of_clause(clause)
        if answer is not None:
            return answer
    return _last_math(text)


def _answer_of_clause(clause: str) -> str | None:
    span = _first_span(clause)
    if span is not None:
        return span
    answer = _SENTENCE_END.split(clause, maxsplit=1)[0].strip().strip("*").strip()
    if not answer or answer.endswith(":"):
        return None
    number = last_number(answer)
    if number is not None and len(_WORD.findall(answer)) > 0:  # "18 dollars", "about 5 km"
        return number[1]
    return answer if number is not None or len(answer.split()) <= 3 else None


def _first_span(clause: str) -> str | None:
    for found in _SPAN.finditer(clause):
        content = found[found.lastgroup].strip()
        if content and not _is_prose(content):
            return content
    return None


def _last_math(text: str) -> str | None:
    end, answer = last_number(text) or (-1, None)
    for found in _SPAN.finditer(text):
        content = found[found.lastgroup].strip()
        if content and found.end() >= end and not _is_prose(content):
            end, answer = found.end(), content
    return answer


def _is_prose(content: str) -> bool:
    """Whether what stands between dollars is no formula: in "$5 and then $6" they are prices."""
    return bool(_WORD.search(_LATEX_WORDS.sub("", content)))
