r"""Plain numbers, read exactly: "1,000", "-0.50", "3/4", "\frac{3}{4}", "1\frac{1}{2}", "\$18"."""

import re
from fractions import Fraction

LONGEST_NUMBER = 1000  # characters; int() of a few thousand digits is slow and then an error
_DECIMAL = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_NUMBER = re.compile(
    rf"""
    (?P<sign> [-+]? ) (?: \\?\$ )? (?P<sign2> [-+]? )
    (?:
        (?P<top> [0-9]+ ) / (?P<bottom> [0-9]+ )
        | (?P<whole> [0-9]* ) \\[dtc]?frac (?:
            \{{ (?P<top2> -?[0-9]+ ) \}} \{{ (?P<bottom2> [0-9]+ ) \}}
            | (?P<top3> [0-9] ) (?P<bottom3> [0-9] )
        )
        | (?P<decimal> {_DECIMAL} )
    )
    """,
    re.VERBOSE,
)
_SPACING = re.compile(r"(?:\\[!,;: ]|~)\s*")  # space in LaTeX: 10,\!080 is 10,080
_MIXED = re.compile(r"([0-9])\s+([0-9]+)/([0-9]+)")  # 1 1/2
_SPACED = re.compile(r"(?<![0-9.])([0-9]{1,3}(?:\s[0-9]{3})+)(?![0-9\s])")  # 58 500
_APART = re.compile(r"[0-9]\s+[0-9]")
_ONLY_NUMBERS = re.compile(r"[-+0-9.\s]+")
_LAST_NUMBER = re.compile(
    rf"(?<![^\W_])(?<![0-9][.,/])[-\N{{MINUS SIGN}}]?(?:\\?\$)?(?:{_DECIMAL})(?:/[0-9]+)?"
    r"(?![^\W_]|[.,/][0-9])(?:\s?\\?%)?"
)
SIGNIFICANT_DIGITS = 6


def read_number(answer: str) -> Fraction | None:
    """The exact value of an answer that is one number and nothing else; None for any other."""
    if len(answer) > LONGEST_NUMBER:
        return None
    plain = _without_spacing(answer).replace("\N{MINUS SIGN}", "-").removesuffix(".")
    plain = _MIXED.sub(r"\1\\frac{\2}{\3}", plain)
    if _APART.search(plain):  # two numbers
        return None
    number = _NUMBER.fullmatch("".join(plain.split()))
    if number is None or (number["sign"] and number["sign2"]):
        return None
    value = _magnitude(number)
    negative = "-" in (number["sign"], number["sign2"])
    return -value if negative and value is not None else value


def _magnitude(number: re.Match[str]) -> Fraction | None:
    if number["decimal"]:
        return Fraction(number["decimal"].replace(",", ""))
    top = number["top"] or number["top2"] or number["top3"]
    bottom = int(number["bottom"] or number["bottom2"] or number["bottom3"])
    if bottom == 0 or (number["whole"] and top.startswith("-")):
        return None
    return int(number["whole"] or 0) + Fraction(int(top), bottom)


def _without_spacing(answer: str) -> str:
    plain = _SPACING.sub("", answer.strip())
    return _SPACED.sub(lambda group: "".join(group[1].split()), plain)


def is_row_of_numbers(answer: str) -> bool:
    """Whether an answer is several numbers with nothing between: to math-verify "3 5" is 8."""
    plain = _without_spacing(answer)
    return bool(_ONLY_NUMBERS.fullmatch(plain) and _APART.search(plain))


def is_decimal(answer: str) -> bool:
    """Whether a number is written with a decimal point."""
    return "." in answer.strip().removesuffix(".")


def equal_numbers(first: str, second: str) -> bool | None:
    """Whether two answers are the same number, exactly; None where one is no plain number.

    A decimal also equals the fraction that it is rounded from, if it has at least
    `SIGNIFICANT_DIGITS` digits: 0.333333 is 1/3, and 0.33 is not.
    """
    values = read_number(first), read_number(second)
    if values[0] is None or values[1] is None:
        return None
    if values[0] == values[1]:
        return True
    if is_decimal(first) == is_decimal(second):
        return False
    decimal, fraction = (first, values[1]) if is_decimal(first) else (second, values[0])
    places = len(decimal.strip().removesuffix(".").rpartition(".")[2])
    digits = re.sub(r"[^0-9]", "", decimal).lstrip("0")
    return len(digits) >= SIGNIFICANT_DIGITS and round(fraction, places) == read_number(decimal)


def spell_number(value: Fraction) -> str:
    """One spelling for each number: "1000", "-1/2"."""
    return str(value)


def last_number(text: str) -> tuple[int, str] | None:
    """Where the last number of a text ends, and the number; None where there is none."""
    number = None
    for number in _LAST_NUMBER.finditer(text):  # noqa: B007
        pass
    return None if number is None else (number.end(), number[0])
