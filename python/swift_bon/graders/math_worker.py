"""The process that reads and compares mathematics: JSON lines in, JSON lines out.

Run by `math_process.py` as a script of its own, without the package around it, so that it starts
in half a second. It may hang or run out of memory on any line: then it is killed.

    ["read", answer]                -> [true] if math-verify reads an expression out of it
    ["compare", reference, answer]  -> [is equal, one spelling for equal answers or null]
"""

import functools
import json
import logging
import math
import os
import signal
import sys
from typing import Any, TextIO

MEMORY_BYTES = 2 << 30
LONGEST_SPELLING = 1000


def serve(timeout_s: float) -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints must not look like an answer
    _limit_memory()
    logging.disable(logging.CRITICAL)  # a warning for each answer that is compared untimed
    _parse("1")  # imports everything
    _send(answers, ["ready"])
    has_alarm = hasattr(signal, "alarm")
    if has_alarm:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, even inside C code
    for line in sys.stdin:
        if has_alarm:  # in case the parent is gone and cannot kill
            signal.alarm(math.ceil(timeout_s) + 1)
        _send(answers, _answer(*json.loads(line)))
        if has_alarm:
            signal.alarm(0)


def _send(answers: TextIO, message: list) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _answer(question: str, *texts: str) -> list:
    from math_verify import verify

    if question == "read":
        return [_expression(texts[0]) is not None]
    gold, answer = map(_parse, texts)
    if verify(list(gold), list(answer), timeout_seconds=None):
        return [True, None]
    return [False, _spell(texts[1])]


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> tuple:
    """What math-verify reads: an expression and the text, or the text alone.

    LaTeX only: for plain expressions math-verify would use SymPy's parser, which calls eval().
    """
    from math_verify import LatexExtractionConfig, parse

    config = [LatexExtractionConfig(boxed_match_priority=0)]
    boxed = f"\\boxed{{{text}}}"
    return tuple(parse(boxed, extraction_config=config, parsing_timeout=None))


def _expression(text: str) -> Any:
    return next((part for part in _parse(text) if not isinstance(part, str)), None)


def _spell(text: str) -> str | None:
    """The evaluated expression as SymPy writes it: 2/4, 0.5 and x = 1/2 are all "1/2"."""
    from sympy import Basic, Eq, Float, Rational, Symbol

    expression = _expression(text)
    if expression is None:
        return None
    if isinstance(expression, Eq) and isinstance(expression.lhs, Symbol):
        expression = expression.rhs
    expression = expression.doit()
    if isinstance(expression, Basic):
        floats = expression.atoms(Float)
        expression = expression.xreplace({value: Rational(str(value)) for value in floats})
    spelling = str(expression)
    return spelling if len(spelling) <= LONGEST_SPELLING else None


if __name__ == "__main__":
    serve(float(sys.argv[1]))
