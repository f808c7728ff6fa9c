"""The frame of a benchmark: its header, its failures, and a record that is saved after each row."""

import argparse
from collections.abc import Callable
from typing import TypeVar

import torch

from measuring.bandwidth import Bandwidth, measured_bandwidth
from measuring.failures import RUN_ERRORS, note_failure, why
from measuring.machine import default_device, machine
from measuring.oracle import WrongAnswer
from measuring.records import print_record, save_record

Result = TypeVar("Result")


class Script:
    """A benchmark under way. Whenever it is stopped, what is done lies in its file.

    Args:
        name: of the benchmark and of its file.
        arguments: with `out` and `quick`, see `records.add_run_arguments`.
        **header: what else the record says first.
    """

    def __init__(self, name: str, arguments: argparse.Namespace, **header):
        torch.set_float32_matmul_precision("highest")  # float32 peers do not compute in TF32
        self.name = name
        self.arguments = arguments
        self.device = default_device()
        self.rows: list[dict] = []
        self.failures: list[str] = []
        self.record = {"benchmark": name, "complete": False, "machine": machine(), **header}
        self.record |= {"rows": self.rows, "failures": self.failures}

    def measure_bandwidth(self) -> Bandwidth:
        """The ceiling, printed before any time."""
        bandwidth = measured_bandwidth(self.device)
        self.record["bandwidth"] = bandwidth._asdict()
        print(
            f"ceiling: {bandwidth.read_gb_per_s:.1f} GB/s read ({bandwidth.fastest_read}), "
            f"{bandwidth.copy_gb_per_s:.1f} GB/s copied (read + written)",
            flush=True,
        )
        return bandwidth

    def attempt(self, label: str, measure: Callable[[], Result]) -> Result | None:
        """What `measure` returns; None after a wrong answer or an error, kept for the end."""
        try:
            return measure()
        except WrongAnswer as error:
            note_failure(f"{label}: {error}", self.failures)
        except RUN_ERRORS as error:
            note_failure(f"{label}: {why(error)}", self.failures)
        self.save()
        return None

    def add(self, row: dict, text: str) -> None:
        self.rows.append(row)
        print(text, flush=True)
        self.save()

    def save(self) -> None:
        save_record(self.name, self.record, self.arguments)

    def finish(self) -> int | str:
        """Save the record as complete and print it, the last line; the exit code."""
        self.record["complete"] = True
        self.save()
        print_record(self.record)
        return f"{len(self.failures)} failures" if self.failures else 0
