"""Python literals: what is equal, how LaTeX spoils them, and what must not be run."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift_bon.graders import literals
from swift_bon.graders.literals import same_value, spell_value
from swift_bon.tasks import Grade, Question


def grade(reference, text):
    return literals.grade(Question("q/0", "kind", "?", reference), text)


@pytest.mark.parametrize(
    ("reference", "text", "answer"),
    [
        ("[1, 2]", r"\boxed{[1, 2]}", True),
        ("[1, 2]", r"\boxed{[1,2]}", True),
        ("[1, 2]", r"\boxed{\left[1, 2\right]}", True),
        ("[1, 2]", r"\boxed{\texttt{[1, 2]}}", True),
        ("[1, 2]", "```\n\\boxed{[1, 2]}\n```", True),
        ("[1, 2]", r"\boxed{[2, 1]}", "[2, 1]"),
        ("[1, 2]", r"\boxed{(1, 2)}", "(1, 2)"),
        ("[1, 2]", "The answer is [1, 2].", True),
        ("[1, 2]", "Answer: `[1, 2]`", True),
        ("[1, 2]", "I do not know", None),
        ("[1, 2]", r"\boxed{one, two}", None),
        ("{0: None}", r"\boxed{{0: None}}", True),
        ("{0: None}", r"\boxed{\{0: None\}}", True),
        ("{1: 2, 3: 4}", r"\boxed{{3: 4, 1: 2}}", True),
        ("{1, 2}", r"\boxed{\{2, 1\}}", True),
        ("set()", r"\boxed{set()}", True),
        ("None", r"\boxed{None}", True),
        ("True", r"\boxed{True}", True),
        ("True", r"\boxed{1}", "1"),  # equal in Python, not the same answer
        ("[True]", r"\boxed{[1]}", "[1]"),
        ("1", r"\boxed{True}", "True"),
        ("1", r"\boxed{1.0}", True),
        ("'1'", r"\boxed{1}", "1"),
        ("(1,)", r"\boxed{(1,)}", True),
        ("(1,)", r"\boxed{(1)}", "1"),
        ("'ab_c'", r"\boxed{'ab\_c'}", True),
        ("'ab_c'", r"\boxed{\text{'ab\_c'}}", True),
        ("'ab_c'", r'\boxed{"ab_c"}', True),
        (
            "'ab_c'",
            "\\boxed{\N{LEFT SINGLE QUOTATION MARK}ab_c\N{RIGHT SINGLE QUOTATION MARK}}",
            True,
        ),
        ("'ab c'", r"\boxed{ab c}", True),  # without its quotes
        ("'ab c'", r"\boxed{ab d}", "'ab d'"),
        ("'ab c'", "The answer is ab c", None),  # only in a box
        ("'a\\nb'", r"\boxed{'a\nb'}", True),
        ("'a'", r"\boxed{\alpha}", r"'\\alpha'"),
        ("'50%'", r"\boxed{'50\%'}", True),
        ("-5", r"\boxed{-5}", True),
        ("'x'", r"\boxed{}", None),
    ],
)
def test_by_hand(reference, text, answer):
    expected = Grade(reference, True) if answer is True else Grade(answer, False)
    assert grade(reference, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch run')",
        "open('run', 'w')",
        "[x for x in range(9)]",
        "9**9**9",
        "'a' * 9**9",
        "(" * 1000,
        "[" * 1400 + "]" * 1400,
        "-" * 2900 + "1",
        "1" * 100_000,
        "0x" + "f" * 2990,
        "{[]: 1}",
        "1e999",
        "\x00",
        "\ud800",
        "f'{1}'",
    ],
    ids=lambda text: text[:12].encode("ascii", "replace").decode(),
)
def test_hostile_answers(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = time.process_time()
    graded = grade("[1, 2]", f"\\boxed{{{text}}}")
    assert not graded.correct and (graded.answer is None or len(graded.answer) < 10_000)
    assert literals.reference_fault(text) is None or len(literals.reference_fault(text)) < 300
    assert time.process_time() - start < 1.0
    assert list(tmp_path.iterdir()) == []


def test_faults_of_references():
    for reference in ("1", "None", "[1, 'a']", " {1: (2,)} ", "set()"):
        assert literals.reference_fault(reference) is None
    for reference in ("", "abc", "f(1)", "[1", "9" * 3001, r"'\d'"):
        assert "expected a Python literal" in literals.reference_fault(reference)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)
HASHABLE = st.one_of(SCALARS, st.text("ab '\"_", max_size=5))
LITERALS = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(HASHABLE, max_size=3),
        st.dictionaries(HASHABLE, inner, max_size=3),
    ),
    max_leaves=6,
)


@given(LITERALS)
def test_any_literal_is_right_for_itself(value):
    assert grade(repr(value), f"\\boxed{{{value!r}}}") == Grade(repr(value), True)


@given(LITERALS, LITERALS)
def test_equal_values_have_one_spelling(first, second):
    if same_value(first, second):
        assert first == second
        assert spell_value(first) == spell_value(second)
    assert grade(repr(first), f"\\boxed{{{second!r}}}").correct == same_value(first, second)


@given(LITERALS)
def test_spellings_are_literals(value):
    assert same_value(literals.read_literal(spell_value(value)), value)


def test_order_of_sets_and_dicts_does_not_matter():
    assert spell_value({3, 1, "b", "a"}) == spell_value({"a", "b", 1, 3})
    assert spell_value({1: 2, 3: 4}) == spell_value({3: 4, 1: 2}) == "{1: 2, 3: 4}"
