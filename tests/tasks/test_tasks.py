"""The tasks of the paper, on rows as the hub has them: what is asked, and what is right."""

import json
import sys

import pytest

from swift_bon.graders import letters, mathematics
from swift_bon.graders.registry import load_grader
from swift_bon.tasks import Grade, Question
from swift_bon.tasks.registry import TASKS, load_task

GSM8K = [
    {"question": "What is 9 plus 9?", "answer": "9+9=<<9+9=18>>18\n#### 18"},
    {"question": "How many?", "answer": "#### 1,000"},
]
MATH_500 = [
    {
        "problem": "Find $x$.",
        "solution": "So $\\boxed{\\frac{1}{2}}$.",
        "answer": "\\frac{1}{2}",
        "subject": "Algebra",
        "level": 1,
        "unique_id": "test/algebra/1.json",
    }
]
HENDRYCKS = [
    {"problem": "P", "level": "Level 1", "type": "T", "solution": "$\\boxed{1}$ no $\\boxed{2}$"},
    {"problem": "Q", "level": "Level 1", "type": "T", "solution": "$\\boxed 3$"},
]
AQUA = [
    {
        "question": "How far?",
        "options": ["A)21", "B)21.5", "C)22", "D)22.5", "E)23"],
        "rationale": "Because. Answer is E.",
        "correct": "E",
    }
]
HELLASWAG = [
    {
        "ind": 4,
        "activity_label": "Roofing",
        "ctx_a": "A man is on a roof.",
        "ctx_b": "he",
        "ctx": "A man is on a roof. he",
        "endings": ["sings.", " falls.", "starts.", "flies."],
        "source_id": "a~1",
        "split": "val",
        "split_type": "indomain",
        "label": "2",
    }
]
COIN_FLIP = [
    {"inputs": "Q: A coin is heads up. Ka flips it. Is it still heads up?", "targets": "no"}
]
IMBUE = [
    {
        "question": "What does f(1) return?",
        "choices": ["{0: None}", "[1]", "'a'"],
        "correct_answer": "{0: None}",
    }
]

# Task, rows, the splits of the hub that train and test read, and a right and a wrong response.
CASES = {
    "gsm8k": (GSM8K, ["train"], ["test"], r"\boxed{18}", r"\boxed{17}"),
    "aqua_rat": (AQUA, ["train"], ["validation", "test"], r"\boxed{E}", r"\boxed{A}"),
    "hellaswag": (HELLASWAG, ["train"], ["validation"], r"\boxed{C}", r"\boxed{B}"),
    "coin_flip": (COIN_FLIP, ["train"], ["validation"], r"\boxed{No}", r"\boxed{Yes}"),
    "code_comprehension": (
        IMBUE,
        ["train[:6000]"],
        ["train[6000:6500]"],
        r"\boxed{\{0: None\}}",
        r"\boxed{[1]}",
    ),
}
DATASETS = {
    "gsm8k": ("openai/gsm8k", "main"),
    "aqua_rat": ("deepmind/aqua_rat", "raw"),
    "hellaswag": ("Rowan/hellaswag", None),
    "coin_flip": ("skrishna/coin_flip", None),
    "code_comprehension": ("imbue/code-comprehension", None),
}


class Hub:
    """In the place of the module `datasets`."""

    def __init__(self, rows):
        self.rows, self.calls = rows, []

    def load_dataset(self, dataset, config=None, *, split):
        self.calls.append((dataset, config, split))
        return self.rows(dataset) if callable(self.rows) else self.rows


@pytest.fixture
def hub(monkeypatch):
    def install(rows):
        hub = Hub(rows)
        monkeypatch.setitem(sys.modules, "datasets", hub)
        return hub

    return install


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", CASES)
def test_from_the_hub(hub, name):
    rows, train, test, right, wrong = CASES[name]
    stand_in = hub(rows)
    task = load_task(name)
    for split, parts in (("train", train), ("test", test), ("all", train + test)):
        stand_in.calls.clear()
        questions = task.questions(split)
        assert stand_in.calls == [(*DATASETS[name], part) for part in parts]
        assert len(questions) == len(rows) * len(parts)
        assert len({question.id for question in questions}) == len(questions)
        assert task.grade(questions[0], f"So {right}.").correct
        assert task.grade(questions[0], f"So {right}.").answer == questions[0].reference
        assert not task.grade(questions[0], f"So {wrong}.").correct
    assert {q.id for q in task.questions("train")} | {q.id for q in task.questions("test")} == {
        q.id for q in task.questions("all")
    }


@pytest.mark.parametrize("name", CASES)
def test_the_same_from_a_file_without_datasets(tmp_path, monkeypatch, hub, name):
    rows = CASES[name][0]
    hub(rows)
    from_hub = load_task(name).questions("train")
    monkeypatch.setitem(sys.modules, "datasets", None)
    lines = load_task(name, write_rows(tmp_path / "a.jsonl", rows)).questions("train")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    listed = load_task(name, str(tmp_path / "a.json")).questions("train")
    assert lines == listed == from_hub
    assert lines[0].id == f"{name}/train/0"
    assert load_task(name, tmp_path / "a.json").questions("test")[0].id == f"{name}/test/0"


def test_what_is_asked(hub):
    asked = {}
    for name, case in CASES.items():
        hub(case[0])
        asked[name] = load_task(name).questions("test")[0]
    assert asked["gsm8k"].prompt.endswith("\n\nWhat is 9 plus 9?")
    assert asked["aqua_rat"].prompt.endswith("\n\nHow far?\n\nA)21\nB)21.5\nC)22\nD)22.5\nE)23")
    assert asked["hellaswag"].prompt.endswith(
        "\n\nA man is on a roof. he\n\nA) sings.\nB) falls.\nC) starts.\nD) flies."
    )
    assert asked["coin_flip"].prompt.endswith(
        "\n\nA coin is heads up. Ka flips it. Is it still heads up?"
    )
    assert asked["code_comprehension"].prompt.endswith(
        "\n\nWhat does f(1) return?\n\nChoices:\n- {0: None}\n- [1]\n- 'a'"
    )
    references = {name: question.reference for name, question in asked.items()}
    assert references == {
        "gsm8k": "18",
        "aqua_rat": "E",
        "hellaswag": "C",
        "coin_flip": "no",
        "code_comprehension": "{0: None}",
    }
    for name, question in asked.items():
        assert r"\boxed{" in question.prompt and "{{" not in question.prompt, name
        assert question.kind == name
        assert load_task(name).sampling["max_new_tokens"] >= 512


def test_ids_of_rows_on_the_hub(hub):
    hub(IMBUE)
    assert (
        load_task("code_comprehension").questions("test")[0].id == "code_comprehension/train/6000"
    )
    hub(AQUA)
    ids = [question.id for question in load_task("aqua_rat").questions("test")]
    assert ids == ["aqua_rat/validation/0", "aqua_rat/test/0"]


def test_math_trains_on_one_data_set_and_tests_on_another(hub):
    stand_in = hub(lambda name: MATH_500 if name == "HuggingFaceH4/MATH-500" else HENDRYCKS)
    task = load_task("math")
    train = task.questions("train")
    assert [call[0] for call in stand_in.calls] == ["EleutherAI/hendrycks_math"] * 7
    subjects = [call[1] for call in stand_in.calls]
    assert subjects == sorted(subjects) and len(set(subjects)) == 7
    assert {call[2] for call in stand_in.calls} == {"train"}
    assert train[0].id == "math/train/algebra/0" and train[1].id == "math/train/algebra/1"
    assert [question.reference for question in train[:2]] == ["2", "3"]
    stand_in.calls.clear()
    (test,) = task.questions("test")
    assert stand_in.calls == [("HuggingFaceH4/MATH-500", None, "test")]
    assert (test.id, test.reference) == ("test/algebra/1.json", "\\frac{1}{2}")
    assert task.grade(test, r"\boxed{0.5}") == Grade("\\frac{1}{2}", True)
    assert len(task.questions("all")) == 15


def test_gsm8k_of_the_authors_has_the_number_alone(tmp_path):
    rows = [{"question": "?", "answer": "1,000"}]
    (question,) = load_task("gsm8k", write_rows(tmp_path / "a.jsonl", rows)).questions("test")
    assert question.reference == "1,000"
    assert TASKS["gsm8k"].grade(question, "#### 1000").correct


# Own questions.


def test_own(tmp_path):
    rows = [
        {"id": "sum", "prompt": "What is 6 x 7?", "reference": 42},
        {"id": 7, "prompt": "What is half of 1?", "reference": 0.5},
        {"prompt": "What is 1 + 1?", "reference": "2"},
    ]
    path = write_rows(tmp_path / "own.jsonl", rows)
    questions = load_task("own", path, "math").questions("test")
    assert questions == [
        Question("sum", "own", "What is 6 x 7?", "42"),
        Question("7", "own", "What is half of 1?", "0.5"),
        Question("own/test/2", "own", "What is 1 + 1?", "2"),
    ]
    assert load_task("own", path, "math").grade(questions[1], r"\boxed{1/2}").correct
    assert not load_task("own", path).grade(questions[1], r"\boxed{1/2}").correct  # text
    task = load_task("own", path, lambda question, text: text == question.id)
    assert task.grade(questions[0], "sum") == Grade("42", True)


def test_another_grader_for_a_task(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", GSM8K)
    task = load_task("gsm8k", path, "text")
    assert task.grader is load_grader("text") and TASKS["gsm8k"].grader is mathematics
    assert not task.grade(task.questions("test")[0], r"\boxed{18.0}").correct


def test_every_task_is_one():
    for name, task in TASKS.items():
        assert task.name == name
        assert callable(task.questions) and callable(task.grade)
    assert TASKS["aqua_rat"].grader is TASKS["hellaswag"].grader is letters
