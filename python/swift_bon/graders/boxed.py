r"""The content of the last \boxed{...} of a text, and LaTeX around an answer taken off."""

import re

# Escaped characters come before braces, so that \{ and \} open and close nothing. Two
# backslashes before the word: models write \\boxed where they think of a Python string.
_TOKEN = re.compile(
    r"""
    \\{1,2} (?:boxed|fbox) (?![A-Za-z]) [ \t]* (?:
        (?P<open> \{ )
        | (?P<bare> [-+]? (?: \\[dt]?frac \{[^{}]*\} \{[^{}]*\} | [0-9]+ (?: [.,]? [0-9]+ )* ) )
    )
    | \\[\s\S]
    | (?P<brace> [{}] )
    """,
    re.VERBOSE,
)


def last_boxed(text: str) -> str | None:
    r"""What stands in the last \boxed{...} or \fbox{...} that is closed and not empty.

    "Last" is the one that begins last. Braces are matched in one pass, whatever the text: a box
    that is never closed, as at the end of a text that was cut off, is no box. `\boxed 5` counts
    for a number or a fraction.
    """
    starts: list[int | None] = []  # of the open braces; None for one that opens no box
    best_start, best = -1, None
    for match in _TOKEN.finditer(text):
        start, content = -1, ""
        if match["open"]:
            starts.append(match.end())
        elif match["bare"]:
            start, content = match.start("bare"), match["bare"]
        elif match["brace"] == "{":
            starts.append(None)
        elif match["brace"] and starts:
            opened = starts.pop()
            if opened is not None and opened > best_start:
                start, content = opened, text[opened : match.start()].strip()
        if content:
            best_start, best = start, content
    return best


_WRAPPER = re.compile(
    r"\\(?:text(?:tt|bf|it|rm|sf|md|up|normal)?|math(?:rm|bf|tt|it|sf|normal)|mbox|operatorname|emph"
    r"|verb|bf|boldsymbol)\s*\{([^{}]*)\}"
)
_MATH_MARKS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_FENCE = "```"
_LANGUAGE = re.compile(r"[a-z]*\s")
DEEPEST_WRAPPERS = 8


def unwrap(answer: str) -> str:
    r"""The answer without dollars, code fences, bold marks and \text{...} around its parts."""
    answer = answer.strip()
    for first, last in _MATH_MARKS:
        if _is_between(answer, first, last):
            answer = answer[len(first) : -len(last)].strip()
            break
    if _is_between(answer, _FENCE, _FENCE):
        inside = answer[len(_FENCE) : -len(_FENCE)]
        language = _LANGUAGE.match(inside)
        answer = inside[language.end() :].strip() if language else answer
    for _ in range(DEEPEST_WRAPPERS):  # \textbf{\text{B}} from the inside out
        plain = _WRAPPER.sub(r"\1", answer)
        if plain == answer:
            break
        answer = plain
    for mark in ("**", "`"):
        if _is_between(answer, mark, mark):
            answer = answer[len(mark) : -len(mark)]
    return answer.strip()


def _is_between(answer: str, first: str, last: str) -> bool:
    """Whether it stands between two marks, found without a search: texts may be long."""
    is_long_enough = len(answer) > len(first) + len(last)
    return is_long_enough and answer.startswith(first) and answer.endswith(last)
