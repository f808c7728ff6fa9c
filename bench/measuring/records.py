"""Results of benchmarks on disk: one JSON file per benchmark and machine."""

import argparse
import json
import os
from pathlib import Path

from measuring.machine import machine_slug
from swift_bon.storage import write_whole

RESULTS = Path(__file__).parents[1] / "results"


def add_out_argument(parser: argparse.ArgumentParser) -> None:
    """`--out DIR`, or the environment variable BENCH_OUT: where the record goes."""
    default = os.environ.get("BENCH_OUT")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(default) if default else None,
        help="folder of the record; without it bench/results/<this machine>",
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """`--out DIR` and `--quick`."""
    add_out_argument(parser)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, and no record without --out"
    )


def save_record(name: str, record: dict, arguments: argparse.Namespace) -> None:
    """Write the record of a script; a quick run without `--out` must not replace a measurement."""
    if not arguments.quick or arguments.out is not None:
        write_record(name, record, arguments.out)


def write_record(name: str, record: dict, folder: Path | None) -> Path:
    """Write `<name>.json`, whole or not at all.

    Args:
        name: of the benchmark.
        record: what JSON can hold.
        folder: None takes `bench/results/<this machine>`.

    Raises:
        ValueError: the record holds NaN or an infinity, which JSON has no word for.
    """
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    folder = RESULTS / machine_slug() if folder is None else folder
    path = folder / f"{name}.json"
    write_whole(path, text)
    return path


def read_record(name: str, folder: Path | None) -> dict | None:
    """What `write_record` wrote there, if anything."""
    path = (RESULTS / machine_slug() if folder is None else folder) / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def print_record(record: dict) -> None:
    """The record as one line of JSON: the last line of a benchmark's output."""
    print(json.dumps(record, allow_nan=False), flush=True)
