"""Accuracy of each way to pick, with intervals, as a record: `swift-bon evaluate`, kept.

python bench/evaluate.py runs/basics-test.jsonl [--out DIR]
"""

import argparse
from pathlib import Path

from rich.console import Console

from machine import machine
from records import add_out_argument, print_record, write_record
from swift_bon import evaluation


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="candidates with scores: swift-bon collect --head")
    add_out_argument(parser)
    options = parser.parse_args(arguments)
    accuracies = evaluation.evaluate(options.path)
    evaluation.print_evaluation(accuracies, Console())
    record = {"benchmark": "evaluate_basics_test", "machine": machine(), **accuracies}
    write_record("evaluate_basics_test", record, options.out)
    print_record(record)


if __name__ == "__main__":
    main()
