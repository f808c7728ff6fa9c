"""Plain numbers: read exactly, compared exactly, and found where a text states them."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift_bon.graders.numbers import equal_numbers, last_number, read_number, spell_number
from swift_bon.graders.stated import stated_math, stated_phrase


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("18", "18"),
        ("018", "18"),
        (" 18. ", "18"),
        ("-18", "-18"),
        ("+18", "18"),
        ("\N{MINUS SIGN}18", "-18"),
        ("- 18", "-18"),
        ("$18", "18"),
        (r"\$18", "18"),
        ("-$18", "-18"),
        ("$-18", "-18"),
        ("1,000", "1000"),
        (r"10,\!080", "10080"),
        (r"11,\! 111,\! 111", "11111111"),
        ("58 500", "58500"),
        ("1,000.50", "2001/2"),
        ("0.5", "1/2"),
        (".5", "1/2"),
        ("3/4", "3/4"),
        ("-6/8", "-3/4"),
        (r"\frac{3}{4}", "3/4"),
        (r"\dfrac{-3}{4}", "-3/4"),
        (r"-\tfrac{3}{4}", "-3/4"),
        (r"\frac34", "3/4"),
        (r"\frac 34", "3/4"),
        (r"1\frac{1}{2}", "3/2"),
        (r"-137 \frac{1}{2}", "-275/2"),
        ("1 1/2", "3/2"),
        # no plain numbers
        ("", None),
        ("-", None),
        (".", None),
        ("3 5", None),
        ("1,2", None),
        ("1,0000", None),
        ("--5", None),
        ("-$-5", None),
        ("1/0", None),
        (r"\frac{1}{0}", None),
        (r"1\frac{-1}{2}", None),
        ("5%", None),
        ("5 apples", None),
        ("x", None),
        ("1e5", None),
        ("1.2.3", None),
        ("9^9", None),
        ("\N{ARABIC-INDIC DIGIT TWO}", None),
        ("7" * 1001, None),
    ],
)
def test_read_by_hand(answer, value):
    assert read_number(answer) == (None if value is None else Fraction(value))


@given(
    st.fractions(), st.sampled_from(["{0}/{1}", r"\frac{{{0}}}{{{1}}}", r"\dfrac{{{0}}}{{{1}}}"])
)
def test_any_fraction_is_read_back(value, form):
    value = abs(value) if "frac" not in form else value
    assert read_number(form.format(value.numerator, value.denominator)) == value
    assert read_number(spell_number(value)) == value


@given(st.integers(), st.sampled_from(["{}", "{:,}", "{}.0", "${}$ ".replace("$", ""), "{}."]))
def test_any_integer_is_read_back(number, form):
    assert read_number(form.format(number)) == number


@pytest.mark.parametrize(
    ("first", "second", "is_equal"),
    [
        ("0.5", "1/2", True),
        ("1,000", "1000.00", True),
        ("0.333333", "1/3", True),
        ("1/3", "0.3333333", True),
        ("0.33333", "1/3", False),  # five digits
        ("0.333334", "1/3", False),
        ("0.666667", "2/3", True),
        ("66.6667", r"\frac{200}{3}", True),
        ("0.000000", "1/3000000000", False),
        ("5.4", "5.40001", False),
        ("5.400001", "5.4000012", False),  # two decimals are equal or not
        (".0000672", ".0000674", False),
        ("1/3", "333333/1000000", False),
        ("5", "6", False),
        ("5", "x", None),
        ("x", "5", None),
    ],
)
def test_equality(first, second, is_equal):
    assert equal_numbers(first, second) is is_equal


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", None),
        ("so 18 dollars", "18"),
        ("18.", "18."),
        ("is 18, so", "18"),
        ("5-3", "3"),
        ("is -3", "-3"),
        ("costs $18.50 now", "$18.50"),
        ("1,234 or 5/6", "5/6"),
        ("it is 50%", "50%"),
        ("x2 and 3cm and 1.2.3 and 18.5cm", None),
        ("21 and A1", "21"),
    ],
)
def test_last_number(text, number):
    last = last_number(text)
    assert (last and last[1]) == number


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#### 18", "18"),
        ("steps\n#### 1,000 dollars.\nmore 3", "1,000"),
        ("#### $18.00", "$18.00"),
        ("#### 3\n#### 18", "18"),
        ("## 4\n#### 2. Add them\nSo 18", "18"),  # headings
        ("#### Step 5\nSo 18", "18"),
        ("The answer is 18.", "18"),
        ("The answer is 18 dollars per day", "18"),
        ("The answer to this is therefore 18, as 9+9=18 and 1", "18"),
        ("**Answer:** 18\n", "18"),
        ("**Final Answer**: $18$ of 20", "18"),
        ("The final answer is: \\[18\\]", "18"),
        ("Answer: \\(x = 18\\)", "x = 18"),
        ("The answer is\n18", "18"),
        ("The answer is $\\$18$.", r"\$18"),
        ("The answer is $15\\mbox{ cm}^2$", r"15\mbox{ cm}^2"),
        ("The answer is Evelyn.", "Evelyn"),
        ("The answer is as follows: we add.\nIt is 18", "18"),
        ("The answer is as follows:\n18", "18"),
        ("the answer is 3. No, the answer is 18", "18"),
        ("Hence $x = \\frac{1}{2}$ holds.", r"x = \frac{1}{2}"),
        ("Hence $x = 4$, so 18", "18"),
        ("It costs $5 and then $18", "$18"),
        ("It costs $5 and then $", "$5"),
        ("display $$18$$ end", "18"),
        ("no number here", None),
        ("", None),
    ],
)
def test_stated_math(text, answer):
    assert stated_math(text) == answer


def test_only_the_end_of_a_text_is_searched():
    assert stated_math("The answer is 18." + " filler" * 5000) is None
    assert stated_phrase("The answer is 18." + " filler" * 2000).startswith("18.")


@pytest.mark.parametrize(
    "piece",
    ["$", "$1", "\\[", "\\(", "####", "#### 1\n", "answer ", "answer is ", "1,", "111,", "1/", "-"]
    + ["answer" + "\t" * 500, "a" * 500, " ", "*", "1" * 999 + "a"],
)
def test_long_texts_are_fast(piece):
    text = (piece * (100_000 // len(piece) + 1))[:100_000]
    for whole in (text, text + "x", "answer" + text):
        start = time.process_time()
        stated_math(whole)
        read_number(whole[:1000])
        assert time.process_time() - start < 1.0
