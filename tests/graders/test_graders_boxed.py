r"""The last \boxed{...}: braces, odd forms, and texts made to be slow."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift_bon.graders.boxed import last_boxed, unwrap


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{5}", "5"),
        (r"so $\boxed{ 5 }$.", "5"),
        (r"\fbox{5}", "5"),
        (r"\boxed {5}", "5"),
        (r"\\boxed{5}", "5"),  # as in a Python string
        (r"x \\\boxed{5}", "5"),  # after a line break in LaTeX
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{1} then \boxed{}", "1"),
        (r"\boxed{1} then \boxed{ }", "1"),
        (r"\boxed{1} then \boxed{2", "1"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{{0: None}}", "{0: None}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{\\}", r"\\"),
        (r"\boxed{a \boxed{b} c}", "b"),
        (r"{ never closed \boxed{5}", "5"),
        (r"\boxed{never closed \boxed{5}", "5"),
        (r"} closed before \boxed{5}", "5"),
        ("\\boxed{two\nlines}", "two\nlines"),
        (r"\boxed 5", "5"),
        (r"$\boxed -1,200.5$", "-1,200.5"),
        (r"\boxed\frac{1}{2}", r"\frac{1}{2}"),
        (r"write it in \boxed form", None),
        (r"\boxedanswer{5}", None),
        (r"\unboxed{5}", None),
        ("boxed{5}", None),
        (r"\boxed{5", None),
        (r"\boxed{}", None),
        ("", None),
    ],
)
def test_by_hand(text, content):
    assert last_boxed(text) == content


NO_BRACES = st.text(st.characters(exclude_characters="{}\\"))


@given(NO_BRACES, NO_BRACES.filter(str.strip), NO_BRACES)
def test_any_content_comes_back(before, content, after):
    assert last_boxed(f"{before}\\boxed{{{content}}}{after}") == content.strip()


@given(st.recursive(NO_BRACES, lambda inner: st.tuples(inner, inner).map("{%s}%s".__mod__)))
def test_balanced_braces_are_kept(content):
    expected = content.strip() or None
    assert last_boxed(f"\\boxed{{1}} \\boxed{{{content}}}") == (expected or "1")


@given(st.text("\\boxedf{} 1a"))
def test_any_text_has_an_answer(text):
    box = last_boxed(text)
    assert box is None or (box and box in text)


PIECES = {
    "open": "{",
    "close": "}",
    "boxes": "\\boxed{",
    "bare-boxes": "\\boxed ",
    "backslashes": "\\",
    "spaces": "\\boxed" + " " * 1000,
    "numbers": "\\boxed 1,1,1,1",
    "fractions": "\\boxed\\frac{",
}


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES.keys())
def test_long_texts_are_fast(piece):
    text = (piece * (200_000 // len(piece)))[:200_000]
    for whole in (text, text + "}" * 50_000, "\\boxed{" + text):
        start = time.process_time()
        last_boxed(whole)
        unwrap(whole[:10_000])
        assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ("5", "5"),
        (" 5 ", "5"),
        ("$5$", "5"),
        ("$$5$$", "5"),
        (r"\(5\)", "5"),
        (r"\[5\]", "5"),
        (r"\text{B}", "B"),
        (r"\textbf{\text{(B)}}", "(B)"),
        (r"\mathrm{Yes}", "Yes"),
        (r"\texttt{'a'}", "'a'"),
        ("**B**", "B"),
        ("`[1]`", "[1]"),
        ("```python\n[1]\n```", "[1]"),
        (r"3 \text{ apples}", "3  apples"),
        ("****", "****"),
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        ("", ""),
    ],
)
def test_wrappers_are_taken_off(answer, plain):
    assert unwrap(answer) == plain
