"""Answers as models write them, and texts that would hang a grader, through all graders."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swift_bon.graders.registry import GRADERS, load_grader
from swift_bon.tasks import Question


def is_right(grader: str, reference: str, text: str) -> bool:
    question = Question("q", "own", "?", reference)
    return load_grader(grader).grade(question, text).correct


BLANKS = " " * 4000


@pytest.mark.parametrize("grader", GRADERS)
@pytest.mark.parametrize(
    "text",
    [
        f"####{BLANKS}x",
        f"#### 5{BLANKS}!",
        f"${BLANKS}x",
        f"\\boxed{{${BLANKS}x}}",
        f"```{BLANKS}x",
        f"the answer is{BLANKS}",
        f"answer{BLANKS}answer{BLANKS}",
        f"the answer is ${BLANKS}x",
        "answer " * 3000,
        "\\text" * 4000,
    ],
    ids=range(10),
)
def test_no_text_takes_long(grader, text):
    question = Question("q", "own", "?", {"literal": "1", "boolean": "yes"}.get(grader, "A"))
    started = time.perf_counter()
    load_grader(grader).grade(question, text)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "reference", [r"\text{June 20}", r"\text{8 a.m.}", r"\text{12:30}", r"\text{1 and 2}", "x!"]
)
def test_the_reference_itself_is_right(reference):
    assert is_right("math", reference, f"\\boxed{{{reference}}}")


@given(st.text("0123456789x+-^()= ,.", min_size=1, max_size=12))
@settings(max_examples=100)
def test_every_reference_that_is_accepted_is_right(reference):
    if load_grader("math").reference_fault(reference) is None:
        assert is_right("math", reference, f"\\boxed{{{reference}}}")


@pytest.mark.parametrize(
    ("grader", "reference", "text", "expected"),
    [
        ("text", "42", "The answer is **42**.", True),
        ("text", "Paris", "**Answer:** **Paris**!", True),
        ("text", "Paris", "Answer: **Paris**.", True),
        ("math", "5", "The answer is 5, 6.", False),
        ("math", "5, 6", "The answer is 5, 6.", True),
        ("math", "(3,4)", "The answer is (3, 4).", True),
        ("math", "(3, \\frac{\\pi}{2})", "The answer is (3, pi/2).", True),
        ("math", "5", "The answer is 5 million.", False),
        ("math", "5", "#### 5 million", False),
        ("math", "5000000", "#### 5 million", True),
        ("math", "5000000", r"\boxed{5 \text{ million}}", True),
        ("math", "24", r"\boxed{2 \text{ dozen}}", True),
        ("math", "18", "#### 18 dollars", True),
        ("math", "18", "  ####   18.  ", True),
        ("math", "5", "#### 2. Add them\n#### 5\n", True),
        ("math", "5", r"\boxed{\sqrt{x} = 5}", False),
        ("math", "5", r"\boxed{xy = 5}", False),
        ("math", "5", r"\boxed{|x| = 5}", False),
        ("math", "5", r"\boxed{\sin x = 5}", False),
        ("math", "5", r"\boxed{AB = 5}", True),
        ("letter", "A", "So it is\n**A) 21**", True),
        ("letter", "A", "So it is\nA. 21", True),
        ("letter", "B", "So it is\n(B) 21 apples", True),
        ("letter", "A", r"\boxed{Option A}", True),
        ("letter", "A", "So it is\nA good one", False),
        ("boolean", "no", r"\boxed{No, the coin is tails}", True),
        ("boolean", "no", r"\boxed{Nothing}", False),
        ("math", "5", r"\boxed{\angle ABC = 5}", True),
        ("math", "5", r"\boxed{total cost = 5}", True),
    ],
)
def test_as_models_write_it(grader, reference, text, expected):
    assert is_right(grader, reference, text) is expected
