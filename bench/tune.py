"""The launch numbers of the score kernel on this GPU: each set checked, then all taking turns.

    python bench/tune.py [--out DIR] [--quick]

Two inputs: the headline, which fills the GPU, and a small one, which does not. The first set is
that of `swift_kernels/launch.py`; a better one belongs there, and what it replaced into
docs/decisions.md. The last line is JSON; the exit code is 1 after a wrong answer. On a CPU it only
shows that it runs.
"""

import argparse
import contextlib
import functools
import sys
from collections.abc import Iterator
from unittest import mock

import torch
from rich.console import Console
from rich.table import Table

from measuring.bandwidth import Bandwidth
from measuring.failures import RUN_ERRORS, note_failure, why
from measuring.oracle import (
    SHAPES,
    ModelShape,
    WrongAnswer,
    check_accuracy,
    exact_scores,
    random_head,
    relative_error,
)
from measuring.records import add_run_arguments
from measuring.script import Script
from measuring.timing import percentiles, sample_in_turns
from peers.score_forms import Case
from peers.score_measure import rates
from swift_kernels import launch, score_candidates

CASES = {
    "headline": Case(SHAPES["Llama-3.1-8B"], 16, 512, torch.bfloat16),
    "small": Case(SHAPES["Llama-3.1-8B"], 4, 128, torch.bfloat16),
}
QUICK = {"tiny": Case(ModelShape("tiny", 3, 64), 3, 16, torch.bfloat16)}
SETS = {  # constants of swift_kernels.launch; weights load straight where BLOCK_H < 32 * NUM_WARPS
    "as it is": {},
    "32 rows": {"BLOCK_ROWS": 32},
    "128 rows": {"BLOCK_ROWS": 128, "MAX_REGISTERS": 128, "RESIDENT_PROGRAMS": 4},
    "128 columns": {"BLOCK_H": 128, "NUM_WARPS": 8, "RESIDENT_PROGRAMS": 3},
    "256 columns": {"BLOCK_H": 256, "NUM_WARPS": 16, "RESIDENT_PROGRAMS": 1},
    "32 columns": {"BLOCK_H": 32, "NUM_WARPS": 2, "RESIDENT_PROGRAMS": 12},
    "64 registers": {"MAX_REGISTERS": 64, "RESIDENT_PROGRAMS": 8},
    "free registers": {"MAX_REGISTERS": None},
    "1 wave": {"WAVES": 1},
    "2 waves": {"WAVES": 2},
    "8 waves": {"WAVES": 8},
    "8 steps": {"MIN_STEPS": 8},
    "32 steps": {"MIN_STEPS": 32},
    "2 stages": {"NUM_STAGES": 2},
    "3 stages": {"NUM_STAGES": 3},
    "4 stages": {"NUM_STAGES": 4},
}
ROUNDS = {"cuda": 25, "cpu": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_arguments(parser)
    arguments = parser.parse_args()
    script = Script("tune", arguments)
    bandwidth = script.measure_bandwidth()
    is_small = arguments.quick or script.device.type == "cpu"
    for name, case in (QUICK if is_small else CASES).items():
        rows = script.attempt(
            name, functools.partial(measure, name, case, script.device, bandwidth, script.failures)
        )
        script.rows += rows or []
        script.save()
    print_table(script.rows)
    sys.exit(script.finish())


@torch.no_grad()
def measure(
    name: str, case: Case, device: torch.device, bandwidth: Bandwidth, failures: list[str]
) -> list[dict]:
    """The sets that run and are right, timed in turns; a row for each."""
    head = random_head(case.shape.num_layers, case.shape.hidden_size, device)
    layers = case.layers(device)
    exact = exact_scores(layers, head)
    runs = {}
    for label, constants in SETS.items():

        def run(constants=constants):
            with launch_numbers(constants):
                return score_candidates(layers, head)

        try:
            check_accuracy(label, relative_error(run(), exact), None)
        except WrongAnswer as error:
            note_failure(f"{name}: {error}", failures)
        except RUN_ERRORS as error:  # more registers or shared memory than there are
            print(f"{name}, {label}: left out, {why(error)}", flush=True)
        else:
            runs[label] = run
    samples = sample_in_turns(runs, device, ROUNDS[device.type])
    return [
        {
            "input": name,
            **case.describe(),
            "set": label,
            "constants": SETS[label],
            **{key: round(value, 5) for key, value in percentiles(values)._asdict().items()},
            **rates(case.num_bytes, percentiles(values).p50_ms, bandwidth),
        }
        for label, values in samples.items()
    ]


@contextlib.contextmanager
def launch_numbers(constants: dict[str, int | None]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name, value in constants.items():
            stack.enter_context(mock.patch.object(launch, name, value))
        yield


def print_table(rows: list[dict]) -> None:
    table = Table(title="launch numbers of the score kernel")
    for column in ("input", "set", "p20 ms", "p50", "p80", "GB/s", "% read"):
        table.add_column(column, justify="left" if column in ("input", "set") else "right")
    for row in sorted(rows, key=lambda row: (row["input"], row["p50_ms"])):
        times = [f"{row[key]:.3f}" for key in ("p20_ms", "p50_ms", "p80_ms")]
        rate = f"{row['gb_per_s']:.0f}", f"{row['read_percent']:.0f}"
        table.add_row(row["input"], row["set"], *times, *rate)
    Console().print(table)


if __name__ == "__main__":
    main()
