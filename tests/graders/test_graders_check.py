"""The script that holds the graders against GSM8K and MATH-500: what it counts, and what fails."""

import json
import sys

import pytest

import check_graders
from check_graders import plain_value

GSM8K = [{"question": str(n), "answer": f"so {n}\n#### {n:,}"} for n in (1, 1000, 1000, 4, 5)]
MATH = [
    {"problem": "p", "solution": f"$\\boxed{{{answer}}}$", "answer": answer, "unique_id": f"{n}"}
    for n, answer in enumerate(["5", "x=5", "\\frac{1}{2}", "\\text{east}", "90^\\circ"])
]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    def run(gsm8k, math500):
        for name, rows in (("gsm8k", gsm8k), ("math500", math500)):
            (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        arguments = ["--gsm8k", tmp_path / "gsm8k", "--math500", tmp_path / "math500"]
        monkeypatch.setattr(sys, "argv", ["x", *map(str, [*arguments, "--out", tmp_path])])
        code = check_graders.main()
        lines = capsys.readouterr().out.splitlines()
        assert json.loads(lines[-1]) == json.loads((tmp_path / "check_graders.json").read_text())
        return code, json.loads(lines[-1]), "\n".join(lines[:-1])

    return run


def test_all_is_well(run):
    code, record, _ = run(GSM8K, MATH)
    assert code == 0
    for name in ("gsm8k", "math500"):
        assert record[name]["failures"] == []
        assert record[name]["gold_right"] == record[name]["unboxed_right"] == 5
        assert record[name]["math_verify_alone_right"] == record[name]["rows"] == 5
        assert record[name]["others"] == 5 * 3  # of five rows, a shift of 50 is none
    assert set(record["math500"]["others_equal"]) == {"0: '5' and 'x=5'"}
    assert record["math500"]["others_wrong"] == 13  # a shift of 111 is one of 1
    assert record["gsm8k"]["others_wrong"] == 13 and record["gsm8k"]["others_same"] == 2


def test_a_disagreement_fails(run):
    wrong = {**MATH[2], "solution": "$\\boxed{3}$"}
    code, record, text = run(GSM8K, [*MATH[:2], wrong, *MATH[3:]])
    assert code == 1 and record["math500"]["gold_right"] == 4
    assert "gold_right: 2: '\\\\frac{1}{2}' read Grade(answer='3', correct=False)" in text
    code, record, text = run(GSM8K, [*MATH[:3], {**MATH[3], "solution": "$\\boxed{5}$"}, MATH[4]])
    assert code == 1 and "FAILED: other: 1: 'x=5' and '5', equal: False" in text


@pytest.mark.parametrize(
    ("first", "second", "is_equal"),
    [
        ("5", "x=5", True),
        ("36", "\\$36", True),
        ("15", "15\\mbox{ cm}^2", True),
        ("90", "90^\\circ", True),
        ("1,000", "1000", True),
        ("10,\\!080", "10080", True),
        ("\\frac14", "\\frac{1}{4}", True),
        ("2 \\sqrt{5}", "2\\sqrt{5}", True),
        ("1,2", "12", False),
        ("\\text{east}", "\\text{west}", False),
        ("\\frac{1}{23}", "\\frac{12}{3}", False),
    ],
)
def test_the_rule_of_equality(first, second, is_equal):
    assert (plain_value(first) == plain_value(second)) == is_equal
