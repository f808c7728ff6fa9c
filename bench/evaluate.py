"""Every way to pick, for every k, with intervals, as a record: `swift-bon evaluate`, kept.

python bench/evaluate.py runs/basics-test.jsonl [--out DIR]
"""

import argparse
from pathlib import Path

from rich.console import Console

from measuring.machine import machine
from measuring.records import add_out_argument, print_record, write_record
from swift_bon.evaluation import comparison as evaluation
from swift_bon.evaluation.accuracy_plot import plot_accuracy
from swift_bon.evaluation.terminal_tables import print_evaluation

NAME = "evaluate_basics_test"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="candidates with scores: swift-bon collect --head")
    add_out_argument(parser)
    options = parser.parse_args(arguments)
    found = evaluation.evaluate(options.path)
    print_evaluation(found, Console())
    record = {"benchmark": NAME, "machine": machine(), **found}
    written = write_record(NAME, record, options.out)
    plot_accuracy(found, written.with_suffix(".png"))
    print_record(record)


if __name__ == "__main__":
    main()
