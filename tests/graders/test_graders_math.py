r"""Mathematics: what equals what, one spelling for equal answers, and answers that would hang."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swift_bon.graders import mathematics
from swift_bon.graders.math_process import MathProcess
from swift_bon.tasks import Grade, Question


def grade(reference, text):
    return mathematics.grade(Question("q/0", "math", "?", reference), text)


RIGHT = [
    ("18", "9 + 9 = 18\n#### 18"),
    ("18", r"\boxed{18}"),
    ("18", r"\boxed{18 \text{ dollars}}"),
    ("18", r"\boxed{\text{18 dollars}}"),
    ("18", r"\boxed{18 dollars}"),
    ("1,800", r"\boxed{$1,800 per long week.}"),
    ("3", r"\boxed{\text{3 green apples}}"),
    ("50", r"\boxed{50 percent}"),
    ("18", r"\boxed{\$18.00}"),
    ("18", r"\boxed{x = 18}"),
    ("18", "so she earns 18 dollars"),
    ("1000", r"\boxed{1,000}"),
    ("1,000", r"\boxed{1000}"),
    ("100", r"\boxed{10^2}"),
    ("1/2", r"\boxed{0.5}"),
    ("1/2", r"\boxed{50\%}"),
    ("0.5", "it is 50%"),
    (r"\frac{1}{2}", r"\boxed{\dfrac12}"),
    (r"\frac{14}{3}", r"\boxed{4\frac{2}{3}}"),
    (r"2\sqrt{3}", r"\boxed{\sqrt{12}}"),
    (r"2\sqrt{3}", r"\boxed{2*sqrt(3)}"),
    (r"2\sqrt{3}", "\\boxed{2\N{SQUARE ROOT}3}"),
    (r"3\pi", "The answer is 3\N{GREEK SMALL LETTER PI}."),
    (r"3\pi", r"\boxed{3pi}"),
    ("90^\\circ", "\\boxed{90\N{DEGREE SIGN}}"),
    ("90^\\circ", r"\boxed{90}"),
    (r"\text{Evelyn}", r"\boxed{Evelyn}"),
    (r"\text{Evelyn}", "The answer is evelyn."),
    (r"\text{(C)}", r"\boxed{C}"),
    (r"\text{(E)}", r"\boxed{\textbf{(E)}}"),
    ("(3,4]", r"\boxed{\left(3, 4\right]}"),
    ("1,-2", r"\boxed{-2, 1}"),
    ("1,-2", r"\boxed{x = 1 \text{ or } x = -2}"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"\boxed{(3, \pi/2)}"),
    ("p - q", r"\boxed{-q + p}"),
    ("y = 2x + 3", r"\boxed{3 + 2x}"),
    ("x=5", r"\boxed{5}"),
    (r"x \in [-2,7]", r"\boxed{[-2,7]}"),
    (r"\begin{pmatrix} 1/5 \\ 2 \end{pmatrix}", r"\boxed{\begin{pmatrix} 0.2 \\ 2 \end{pmatrix}}"),
    ("52_8", r"\boxed{52_{8}}"),
    ("52_8", r"\boxed{52}"),
    ("52", r"\boxed{52_{10}}"),
    ("58,500", r"\boxed{58\,500}"),
]


@pytest.mark.parametrize(("reference", "text"), RIGHT)
def test_right_answers_are_spelled_as_the_reference(reference, text):
    assert mathematics.reference_fault(reference) is None
    assert grade(reference, text) == Grade(reference, True)


@pytest.mark.parametrize(
    ("reference", "text", "answer"),
    [
        ("18", r"\boxed{17}", "17"),
        ("18", r"\boxed{17} or 18", "17"),
        ("18", r"\boxed{1,8}", "{1, 8}"),
        ("18", r"\boxed{17 dollars}", "17"),
        ("3", r"\boxed{3 million}", None),
        ("3", r"\boxed{3 pi}", "3*pi"),
        ("3", r"\boxed{3 or 4}", None),
        ("8", r"\boxed{3 5}", "3 5"),
        ("35", r"\boxed{3 5}", "3 5"),
        ("15", r"\boxed{3 5}", "3 5"),
        (r"\frac{1}{23}", r"\boxed{\frac{12}{3}}", "4"),
        ("2", r"\boxed{1/2}", "1/2"),
        ("2", r"\boxed{0.50}", "1/2"),
        ("2", r"\boxed{\frac{2}{4}}", "1/2"),
        ("2", r"\boxed{x = \frac{1}{2}}", "1/2"),
        ("2", r"\boxed{1,000}", "1000"),
        ("2", r"\boxed{1000.0 \text{ km}}", "1000"),
        ("2", r"\boxed{90^\circ}", "90"),
        ("2", r"\boxed{\sqrt{8}}", "2*sqrt(2)"),
        ("2", r"\boxed{2\sqrt{2}}", "2*sqrt(2)"),
        ("2", r"\boxed{0.5x + 0.5}", "x/2 + 1/2"),
        ("2", r"\boxed{\frac{x+1}{2}}", "x/2 + 1/2"),
        ("2", r"\boxed{\{1, 3\}}", "{1, 3}"),
        ("2", r"\boxed{3, 1}", "{1, 3}"),
        ("2", r"\boxed{\frac{1}", "1"),  # a box that is not closed is none
        ("1,-2", r"\boxed{-2}", "-2"),
        ("(3,4]", r"\boxed{[3,4)}", "Interval.Ropen(3, 4)"),
        ("(2,4)", r"\boxed{(4,2)}", None),
        (r"\text{Evelyn}", r"\boxed{Angela}", "angela"),
        (r"\text{(C)}", r"\boxed{D}", "d"),
        (".0000672", r"\boxed{0.0000674}", "337/5000000"),
        ("52_8", r"\boxed{52_9}", "52_9"),
        ("52_8", r"\boxed{53_8}", "53_8"),
        ("52", r"\boxed{52_9}", "52_9"),
        ("p", r"\boxed{q}", "q"),
        ("y = 2x + 3", r"\boxed{y = 2x + 4}", "2*x + 4"),
        ("2", r"\boxed{\frac{}", "2"),
        ("2", r"\boxed{???}", "???"),
    ],
)
def test_wrong_answers_have_one_spelling(reference, text, answer):
    graded = grade(reference, text)
    if (reference, text) == ("2", r"\boxed{\frac{}"):
        assert graded == Grade(None, False)
        return
    assert not graded.correct
    if answer is not None:
        assert graded.answer == answer


@pytest.mark.parametrize(
    "text", ["", "no answer", r"\boxed{}", r"\boxed{" + "1" * 1001 + "}", "1" * 100_000]
)
def test_no_answer(text):
    assert grade("18", text) == Grade(None, False)


@pytest.mark.parametrize("reference", ["", " ", "1" * 1001, r"\frac{", "?!"])
def test_faults_of_references(reference):
    assert "reference" in mathematics.reference_fault(reference)


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_integers_are_right_only_if_equal(reference, answer):
    for form in ("\\boxed{%d}", "#### %d", "The answer is %d.", "$x = %d$"):
        assert grade(str(reference), form % answer).correct == (reference == answer)


@settings(max_examples=30, deadline=None)
@given(st.text("0123456789abxy+-^_{}()[],.=\\ $%", max_size=12))
def test_any_answer_gets_a_grade(answer):
    graded = grade("18", f"\\boxed{{{answer}}}")
    assert graded.correct == (graded.answer == "18")


# Answers that would hang or fill the memory: what follows them is graded as if nothing had been.


@pytest.fixture
def impatient(monkeypatch):
    process = MathProcess(timeout_s=1.0)
    monkeypatch.setattr(mathematics, "process", process)
    yield process
    process.close()


@pytest.mark.parametrize(
    "answer",
    ["9^{9^{9^9}}", "(10^9)!", r"\binom{10^9}{5\cdot10^8}", "(" * 900],
    ids=["tower", "factorial", "binomial", "brackets"],
)
def test_an_answer_that_hangs_is_wrong(impatient, answer):
    start = time.perf_counter()
    with pytest.warns(UserWarning, match="took more than 1 s, or too much memory"):
        assert grade(r"\sqrt{3}", f"\\boxed{{{answer}}}") == Grade(answer, False)
    assert time.perf_counter() - start < 30  # and a start on a busy machine
    assert grade(r"\sqrt{12}", r"\boxed{2\sqrt{3}}") == Grade(r"\sqrt{12}", True)


@pytest.mark.parametrize(
    "text",
    ["\\boxed{" * 10_000, "\\boxed{" * 10_000 + "18" + "}" * 10_000, "{" * 100_000, "$" * 100_000]
    + ["word " * 10_000 + r"\boxed{18}", "\\" * 100_000, "\\boxed{\ud800}", "\\boxed{\x00}"],
    ids=["open", "nested", "braces", "dollars", "long", "backslashes", "surrogate", "null"],
)
def test_odd_texts_are_fast(text):
    mathematics.process.ask("read", "1")
    start = time.perf_counter()
    graded = grade("18", text)
    assert graded.correct == ("18" in text)
    assert time.perf_counter() - start < 2.0


@pytest.mark.parametrize(
    ("reference", "answer", "is_right"),
    [
        ("0", "5x - 7y + 11z + 4 = 0", False),
        ("10", "2x = 10", False),
        ("5", "x = 5", True),
        ("5", r"x_1 = 5", True),
        ("5", r"\theta = 5", True),
        ("5", "f(2) = 5", True),
        ("5", r"\text{cost-price} = 5", True),
        ("5", "2 + 3 = 5", True),
        ("2x + 1 = 0", "2x + 1 = 0", True),
    ],
)
def test_an_equation_is_no_value(reference, answer, is_right):
    assert grade(reference, f"\\boxed{{{answer}}}").correct is is_right
