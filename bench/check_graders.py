"""Does the grader of mathematics agree with GSM8K and MATH-500 on each of their own solutions?

    python bench/check_graders.py --gsm8k gsm8k_test.jsonl --math500 math500.jsonl

Each row's solution must be right for the row, as it stands, and as "The answer is ..." without a
box. The solutions of other rows must be wrong, unless their references are equal by the rule of
`plain_value`, which knows nothing of the grader. Exit code 1 where anything fails.
"""

import argparse
import json
import re
import sys
import time
from fractions import Fraction
from pathlib import Path

from measuring.machine import machine
from measuring.records import add_out_argument, print_record, write_record
from swift_bon.graders import mathematics
from swift_bon.tasks import Question
from swift_bon.tasks.registry import load_task

SHIFTS = (1, 7, 50, 111)  # which other row's solution
SOURCES = {"gsm8k": ("gsm8k", "answer"), "math500": ("math", "solution")}

UNITS = re.compile(
    r"\\(?:text|mbox)\{[^{}]*\}(?:\^[0-9])?|\^\\circ|\\\$|\\[!,;: ]|\\left|\\right|\s"
)
NAMED = re.compile(r"^[a-z]=")
FRACTION = re.compile(r"(-?)\\[dt]?frac\{?([0-9]+?)\}?\{?([0-9]+)\}?")


def plain_value(reference: str) -> Fraction | str:
    """A reference without units and "x =", as an exact number where it is one.

    Two references are held to be equal if these are.
    """
    words = re.fullmatch(r"\\text\{(.*)\}", reference)
    plain = words[1] if words else NAMED.sub("", UNITS.sub("", reference))
    found = FRACTION.fullmatch(plain)
    if found:
        return Fraction(int(found[1] + found[2]), int(found[3]))
    number = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", plain)
    return Fraction(number) if re.fullmatch(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", number) else plain


def check(name: str, path: Path) -> dict:
    """The counts of one file, and each disagreement."""
    task_name, solution = SOURCES[name]
    task = load_task(task_name, data=path)
    start = time.perf_counter()
    questions, unparsable = task.load("test")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if len(rows) != len(questions):
        raise SystemExit(f"{path}: {len(unparsable)} references cannot be graded: {unparsable[:3]}")
    gold = [row[solution] for row in rows]
    values = [plain_value(question.reference) for question in questions]
    record = {
        "rows": len(rows),
        "load_s": round(time.perf_counter() - start, 2),
        "gold_right": 0,
        "unboxed_right": 0,
        "math_verify_alone_right": 0,
        "others": 0,
        "others_wrong": 0,
        "others_same": 0,
        "others_equal": [],
        "failures": [],
    }
    start = time.perf_counter()
    for question, text in zip(questions, gold, strict=True):
        _count_right(record, "gold_right", question, text)
        _count_right(record, "unboxed_right", question, f"The answer is ${question.reference}$.")
        same = [mathematics.typed(question.reference)] * 2
        record["math_verify_alone_right"] += mathematics.process.ask("compare", *same) == [
            True,
            None,
        ]
    for index, question in enumerate(questions):
        for shift in (shift for shift in SHIFTS if shift % len(rows)):  # another row
            other = (index + shift) % len(rows)
            _count_other(record, question, gold[other], values[index] == values[other])
    record["grade_s"] = round(time.perf_counter() - start, 2)
    return record


def _count_right(record: dict, name: str, question: Question, text: str) -> None:
    grade = mathematics.grade(question, text)
    record[name] += grade.correct
    if not grade.correct:
        record["failures"].append(f"{name}: {question.id}: {question.reference!r} read {grade}")


def _count_other(record: dict, question: Question, text: str, is_equal: bool) -> None:
    grade = mathematics.grade(question, text)
    record["others"] += 1
    record["others_wrong"] += not grade.correct
    answer = mathematics.last_boxed(text) or text.rpartition("####")[2].strip()
    pair = f"{question.id}: {question.reference!r} and {answer!r}"
    if is_equal and question.reference == answer:
        record["others_same"] += 1
    elif is_equal:
        record["others_equal"].append(pair)
    if grade.correct != is_equal:
        record["failures"].append(f"other: {pair}, equal: {is_equal}, graded {grade}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in SOURCES:
        parser.add_argument(f"--{name}", type=Path, required=True, help="JSON lines of the test")
    add_out_argument(parser)
    arguments = parser.parse_args()
    record = {"benchmark": "check_graders", "machine": machine()}
    for name in SOURCES:
        record[name] = found = check(name, getattr(arguments, name))
        print(
            f"{name}: of {found['rows']} solutions {found['gold_right']} are right, "
            f"{found['unboxed_right']} without a box, {found['math_verify_alone_right']} by "
            f"math-verify alone; of {found['others']} other solutions {found['others_wrong']} are "
            f"wrong, {found['others_same']} have the same reference"
        )
        print(f"  {found['load_s']} s to load, {found['grade_s']} s to grade")
        for line in found["others_equal"]:
            print(f"  equal: {line}")
        for line in found["failures"]:
            print(f"  FAILED: {line}")
    write_record("check_graders", record, arguments.out)
    print_record(record)
    return int(any(record[name]["failures"] for name in SOURCES))


if __name__ == "__main__":
    sys.exit(main())
