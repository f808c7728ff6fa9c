"""Tasks refuse what is no row, no file, no task, and report what cannot be graded."""

import sys
import warnings

import pytest
from test_tasks import AQUA, CASES, GSM8K, HELLASWAG, IMBUE, write_rows

from swift_bon.tasks import load_questions
from swift_bon.tasks.dataset_task import SHOWN_IDS
from swift_bon.tasks.registry import TASKS, load_task

# References that cannot be graded.


def test_what_cannot_be_graded_is_reported(tmp_path):
    rows = [*HELLASWAG, {**HELLASWAG[0], "label": ""}, {**HELLASWAG[0], "label": "4"}]
    task = load_task("hellaswag", write_rows(tmp_path / "a.jsonl", rows))
    questions, unparsable = task.load("test")
    assert [question.id for question in questions] == ["hellaswag/test/0"]
    assert [one.id for one in unparsable] == ["hellaswag/test/1", "hellaswag/test/2"]
    assert "reference is ''" in unparsable[0].reason and "'4'" in unparsable[1].reason
    with pytest.warns(UserWarning) as caught:
        assert task.questions("test") == questions
    assert len(caught) == 1 and caught[0].filename == __file__
    message = str(caught[0].message)
    assert "task 'hellaswag': 2 questions are left out" in message
    assert "hellaswag/test/1: reference is ''" in message and "hellaswag/test/2" in message


def test_a_long_report_is_cut_and_says_so(tmp_path):
    rows = [*AQUA, *[{**AQUA[0], "correct": ""}] * (SHOWN_IDS + 5)]
    task = load_task("aqua_rat", write_rows(tmp_path / "a.jsonl", rows))
    with pytest.warns(UserWarning, match=f"{SHOWN_IDS + 5} questions .*; and 5 more$"):
        task.questions("test")
    assert len(task.load("test").unparsable) == SHOWN_IDS + 5


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("gsm8k", {"question": "?", "answer": "no number ####"}),
        ("math", {"problem": "?", "solution": "no box"}),
        ("math", {"problem": "?", "solution": "", "answer": "\\frac{"}),
        ("aqua_rat", {**AQUA[0], "correct": "Z"}),
        ("hellaswag", {**HELLASWAG[0], "label": ""}),
        ("hellaswag", {**HELLASWAG[0], "label": "-1"}),
        ("coin_flip", {"inputs": "?", "targets": "maybe"}),
        ("code_comprehension", {**IMBUE[0], "correct_answer": "<object>"}),
    ],
)
def test_a_file_without_a_good_reference_is_refused(tmp_path, name, row):
    task = load_task(name, write_rows(tmp_path / "a.jsonl", [row, row]))
    with pytest.raises(ValueError, match=f"not one of the 2 references .*{name}.*can be graded"):
        task.load("test")


def test_nothing_is_said_where_all_is_well(tmp_path):
    task = load_task("gsm8k", write_rows(tmp_path / "a.jsonl", GSM8K))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(task.questions("test")) == 2
    assert load_questions(TASKS["basics"], "test").unparsable == []
    assert load_questions(TASKS["basics"], "test").questions == TASKS["basics"].questions("test")


# What is no row, no file, no task.


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gsm8k", {"answer": 18}, "row 1 of .*a.jsonl: answer is int, expected str"),
        ("gsm8k", {"question": None}, "question is NoneType, expected str"),
        ("aqua_rat", {"options": "A)1"}, "options is str, expected list"),
        ("aqua_rat", {"options": []}, "options is .*, expected a list of strings"),
        ("hellaswag", {"label": None}, "label is NoneType, expected str or int"),
        ("hellaswag", {"endings": [1]}, "expected a list of strings"),
        ("coin_flip", {"targets": True}, "targets is bool, expected str"),
        ("code_comprehension", {"choices": None}, "choices is NoneType, expected list"),
    ],
)
def test_a_row_of_another_kind_is_an_error(tmp_path, name, change, message):
    good = CASES[name][0][0]
    task = load_task(name, write_rows(tmp_path / "a.jsonl", [good, {**good, **change}]))
    with pytest.raises(ValueError, match=message):
        task.load("test")
    missing = {key: value for key, value in good.items() if key not in change}
    task = load_task(name, write_rows(tmp_path / "a.jsonl", [good, missing]))
    with pytest.raises(ValueError, match=f"row 1 of .* has no field '{[*change][0]}'"):
        task.load("test")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "?"}, "has no field 'reference'"),
        ({"prompt": " ", "reference": "1"}, "prompt is empty"),
        ({"prompt": "?", "reference": None}, "reference is NoneType"),
        ({"prompt": "?", "reference": "1", "id": 1.5}, "id is float"),
        ({"prompt": "?", "reference": "1", "id": "a"}, "id 'a' comes twice"),
    ],
)
def test_own_rows_are_checked(tmp_path, row, message):
    first = {"prompt": "?", "reference": "1", "id": "a"}
    with pytest.raises(ValueError, match=f"row 1 of .*{message}"):
        load_task("own", write_rows(tmp_path / "a.jsonl", [first, row])).load("test")


def test_ids_of_unparsable_rows_count(tmp_path):
    bad = {"prompt": "?", "reference": "", "id": "a"}
    good = {"prompt": "?", "reference": "1", "id": "a"}
    with pytest.raises(ValueError, match="id 'a' comes twice"):
        load_task("own", write_rows(tmp_path / "a.jsonl", [bad, good])).load("test")


def test_empty_file_and_unknown_split(tmp_path):
    task = load_task("gsm8k", write_rows(tmp_path / "a.jsonl", []))
    with pytest.raises(ValueError, match="task 'gsm8k' has no rows in .*a.jsonl, split 'test'"):
        task.load("test")
    with pytest.raises(ValueError, match="split is 'dev', expected one of: train, test, all"):
        task.load("dev")


def test_without_the_package_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"'gsm8k' .* pip install '\.\[tasks\]', or give"):
        load_task("gsm8k").load("test")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("gsm",), ValueError, "task is 'gsm', expected one of: basics, gsm8k, math, aqua_rat"),
        (("own",), ValueError, "task is 'own' without data; give a file"),
        (("gsm8k", "gone.jsonl"), FileNotFoundError, "data is 'gone.jsonl', expected a file"),
        (("basics", __file__), ValueError, "data is .* the task 'basics' has its own"),
        (("basics", None, "math"), ValueError, "grader is 'math', but the task 'basics' has its"),
        (("gsm8k", None, "maths"), ValueError, "grader is 'maths', expected one of"),
    ],
)
def test_what_is_no_task(arguments, error, message):
    with pytest.raises(error, match=message):
        load_task(*arguments)


def test_own_without_a_file_has_no_questions():
    with pytest.raises(ValueError, match="'own' has no data set of its own"):
        TASKS["own"].load("test")
