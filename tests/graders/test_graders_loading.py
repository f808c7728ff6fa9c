"""Graders by name, and a user's own function as one."""

import pytest

from swift_bon.graders import letters
from swift_bon.graders.registry import GRADERS, FunctionGrader, load_grader
from swift_bon.tasks import Grade, Question

QUESTION = Question("q/0", "kind", "?", "Five")


def is_five(question, text):
    return "5" in text


class Judge:
    name = "judge"
    reference_fault = staticmethod(lambda reference: None)

    def __call__(self, question, text):
        return Grade("five", True)

    def grade(self, question, text):
        return Grade("5", False)


def test_by_name():
    assert list(GRADERS) == ["math", "letter", "boolean", "literal", "text"]
    assert load_grader("letter") is letters
    for name, grader in GRADERS.items():
        assert grader.name == name


def test_by_path():
    grader = load_grader("test_graders_loading:is_five")
    assert grader.name == "test_graders_loading:is_five"
    assert grader.reference_fault("anything") is None
    assert grader.grade(QUESTION, "it is 5") == Grade("Five", True)
    nested = load_grader("test_graders_loading:Judge.__call__")
    assert nested.function is Judge.__call__


def test_a_function_and_an_object():
    grader = load_grader(is_five)
    assert grader == FunctionGrader(is_five, f"{__name__}:is_five")
    judge = Judge()
    assert load_grader(judge) is judge  # it has grade: taken as it is, though it can be called

    class OnlyCalled:
        def __call__(self, question, text):
            return True

    assert load_grader(OnlyCalled()).name == load_grader(OnlyCalled()).name
    assert "OnlyCalled" in load_grader(OnlyCalled()).name


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        (True, Grade("Five", True)),
        (False, Grade("6", False)),
        (Grade("6", False), Grade("6", False)),
        (("6", True), Grade("6", True)),
        (Grade(None, False), Grade(None, False)),
    ],
    ids=["true", "false", "grade", "tuple", "none"],
)
def test_what_a_function_may_say(said, grade):
    graded = load_grader(lambda question, text: said).grade(QUESTION, r"\boxed{6}")
    assert graded == grade and isinstance(graded, Grade)


def test_false_without_a_box_has_no_answer():
    assert load_grader(is_five).grade(QUESTION, "six") == Grade(None, False)


@pytest.mark.parametrize(
    "said", [None, 1, "yes", (1, True), ("6", 1), ("6",), ["6", True]], ids=repr
)
def test_what_a_function_may_not_say(said):
    with pytest.raises(TypeError, match="returned .* for the question 'q/0', expected"):
        load_grader(lambda question, text: said).grade(QUESTION, "")


@pytest.mark.parametrize(
    ("grader", "error", "message"),
    [
        ("maths", ValueError, "grader is 'maths', expected one of: math, letter"),
        ("module:", ValueError, "as package.module:function"),
        (":function", ValueError, "as package.module:function"),
        ("no_such_module_x:f", ModuleNotFoundError, "no_such_module_x"),
        ("test_graders_loading:is_six", ValueError, "has no 'is_six'"),
        ("test_graders_loading:QUESTION", ValueError, "expected a function"),
        (5, TypeError, "grader is int, expected a name, a function"),
    ],
)
def test_what_is_no_grader(grader, error, message):
    with pytest.raises(error, match=message):
        load_grader(grader)
