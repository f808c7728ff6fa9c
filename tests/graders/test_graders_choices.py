"""Letters, yes and no, and plain text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift_bon.graders import booleans, letters, words
from swift_bon.tasks import Grade, Question


def question(reference):
    return Question("q/0", "kind", "?", reference)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{B}", "B"),
        (r"\boxed{b}", "B"),
        (r"\boxed{(B)}", "B"),
        (r"\boxed{B)}", "B"),
        (r"\boxed{B.}", "B"),
        (r"\boxed{\text{B}}", "B"),
        (r"\boxed{\textbf{(B)}\ 12}", "B"),
        (r"\boxed{B) 12 km}", "B"),
        (r"\boxed{B: twelve}", "B"),
        (r"\boxed{A} no, \boxed{B}", "B"),
        (r"\boxed{12}. The answer is (B).", "B"),
        ("The answer is (B).", "B"),
        ("The answer is B.", "B"),
        ("Answer: B", "B"),
        ("**Answer: (B)**", "B"),
        ("The correct answer is **B**.", "B"),
        ("The answer is option B, as shown.", "B"),
        ("So:\nB", "B"),
        ("So:\n(B).", None),
        ("So:\n(B)\n", "B"),
        ("So:\nB.", "B"),
        # nothing that is not there
        (r"\boxed{Be quick}", None),
        (r"\boxed{12}", None),
        (r"\boxed{AB}", None),
        (r"\boxed{Z}", None),
        ("The answer is a number.", None),
        ("The answer is A good one", None),
        ("Because A is larger", None),
        ("A or B", None),
        ("the answer is b", None),
        ("", None),
    ],
)
def test_letters(text, answer):
    assert letters.grade(question("B"), text) == Grade(answer, answer == "B")
    assert letters.grade(question("C"), text) == Grade(answer, answer == "C")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{Yes}", "yes"),
        (r"\boxed{no}", "no"),
        (r"\boxed{\text{Yes}.}", "yes"),
        (r"\boxed{True}", "yes"),
        (r"\boxed{\text{\textbf{NO}}}", "no"),
        (r"Yes \boxed{no}", "no"),
        ("So the answer is yes.", "yes"),
        ("The answer is no, it was flipped.", "no"),
        ("Answer: **No**", "no"),
        ("It was flipped.\nYes.", "yes"),
        (r"\boxed{heads}. The answer is yes", "yes"),
        (r"\boxed{maybe}", None),
        (r"\boxed{yes and no}", None),
        ("No one flipped it", None),
        ("The answer is nothing", None),
        ("I know", None),
        ("", None),
    ],
)
@pytest.mark.parametrize(
    ("yes", "no"), [("yes", "no"), ("Yes", "No"), ("True", "False"), ("true", "false")]
)
def test_booleans(text, answer, yes, no):
    spelled = {"yes": yes, "no": no, None: None}[answer]
    assert booleans.grade(question(yes), text) == Grade(spelled, answer == "yes")
    assert booleans.grade(question(no), text) == Grade(spelled, answer == "no")


@pytest.mark.parametrize(
    ("text", "answer", "correct"),
    [
        (r"\boxed{Port Louis}", "Port Louis", True),
        (r"\boxed{\text{port  louis}}", "Port Louis", True),
        ("The answer is PORT LOUIS.", "Port Louis", True),
        ("I think:\nport louis\n", "Port Louis", True),
        (r"\boxed{Port Vila}", "port vila", False),
        ("", None, False),
        ("x" * 1001, None, False),
    ],
)
def test_words(text, answer, correct):
    assert words.grade(question("Port Louis"), text) == Grade(answer, correct)


@pytest.mark.parametrize(
    ("grader", "good", "bad"),
    [
        (letters, ["A", "E", "J"], ["", "a", "K", "AB", "(A)", "1"]),
        (booleans, ["yes", "No", "TRUE", "false"], ["", "y", "maybe", "1", "yes."]),
        (words, ["a", "x" * 1000], ["", " ", ".", "x" * 1001]),
    ],
    ids=["letters", "booleans", "words"],
)
def test_faults_of_references(grader, good, bad):
    assert [grader.reference_fault(reference) for reference in good] == [None] * len(good)
    for reference in bad:
        assert "reference" in grader.reference_fault(reference), reference


@given(st.text(st.characters()), st.sampled_from([letters, booleans, words]))
def test_any_text_gets_a_grade(text, grader):
    reference = {"letter": "A", "boolean": "yes", "text": "a"}[grader.name]
    answer, correct = grader.grade(question(reference), text)
    assert correct == (answer == reference)


@pytest.mark.parametrize("piece", ["answer ", "answer is ", "(", "*", "_", "yes", "\\text{", "\n"])
@pytest.mark.parametrize("grader", [letters, booleans, words], ids=lambda grader: grader.name)
def test_long_texts_are_fast(grader, piece):
    start = time.process_time()
    grader.grade(question("A" if grader is letters else "yes"), piece * (100_000 // len(piece)))
    assert time.process_time() - start < 1.0
