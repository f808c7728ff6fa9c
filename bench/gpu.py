"""The kernels' tests and all benchmarks of a GPU, one after the other, each within its time.

    python bench/gpu.py [--out DIR] [--only score step]

Everything printed is also in `DIR/log.txt`. The end repeats what matters: what failed, and the
tables of the records. One failure does not stop the others; the exit code is 1 after any.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import torch

import tables
from measuring.machine import ROOT, machine_slug
from measuring.records import RESULTS, add_out_argument
from rendering.reward_tables import sentences as reward_sentences
from rendering.reward_tables import tables as reward_tables

TESTS = (
    *("addresses", "backends", "compile", "determinism", "far_offsets", "gradients", "interpreter"),
    *("launch", "ops", "packed", "packed_errors", "reference", "running", "running_errors"),
    *("scoring", "scoring_errors", "scoring_gradients", "selection", "splits", "torch_compile"),
    *("bench_score", "bench_timing"),
)
TEST_FILES = [
    f"tests/{'bench' if name.startswith('bench_') else 'kernels'}/test_{name}.py" for name in TESTS
]
OVERHEAD = ("--random-config", "llama-3.1-8b", "--candidates", "16", "64", "--tokens", "64")
PYTEST = ("-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--numprocesses")
MARKS = ("WRONG", "FAILED ", "ERROR ", "Error:")  # of lines that the end repeats
MAX_REPEATED = 20
SUMMARY_TABLES = ("overhead-gpu", "score-gpu", "train-step-gpu", "step-gpu", "fit-gpu")


class Part(NamedTuple):
    limit_s: int
    arguments: tuple[str, ...]  # of Python
    takes_out: bool = True


TOTAL_S = 540
PARTS = {  # tests come last, since every benchmark checks its own answers
    "score": Part(150, ("bench/score.py",)),
    "train_step": Part(35, ("bench/train_step.py",)),
    "step": Part(45, ("bench/step.py",)),
    "generate_overhead": Part(90, ("bench/generate_overhead.py", *OVERHEAD, "--pairs", "5")),
    "reward_models": Part(95, ("bench/reward_models.py",)),
    "fit": Part(25, ("bench/fit.py", "--candidates", "2000", "--epochs", "3")),
    # what these count, memory and kernels, may not see other tests at work
    "tests_gpu": Part(35, (*PYTEST, "0", "tests/kernels/gpu"), takes_out=False),
    "tests": Part(65, (*PYTEST, "8", *TEST_FILES), False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    add_out_argument(parser)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU")
    folder = arguments.out or RESULTS / machine_slug()
    sys.exit(run_parts(chosen_parts(arguments.only), folder))


def chosen_parts(names: Sequence[str]) -> dict[str, Part]:
    """Some of the parts, which share the time of all."""
    share = TOTAL_S / sum(PARTS[name].limit_s for name in names)
    return {name: PARTS[name]._replace(limit_s=int(PARTS[name].limit_s * share)) for name in names}


def run_parts(parts: dict[str, Part], folder: Path) -> int | str:
    """Run them, then print the end; the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    repeated: list[str] = []
    with open(folder / "log.txt", "a", encoding="utf-8") as log:
        for name, part in parts.items():
            _tell(f"--- {name}", log)
            out = ("--out", str(folder)) if part.takes_out else ()
            command = (sys.executable, *part.arguments, *out)
            code, lines = run_part(command, part.limit_s, log)
            repeated += [f"{name}: {line[:300]}" for line in lines]
            if code != 0:
                failed.append(f"{name} ({code})")
        _tell("\n".join(summary(folder)), log)
        for line in repeated[:MAX_REPEATED]:
            _tell(line, log)
        if len(repeated) > MAX_REPEATED:
            _tell(f"and {len(repeated) - MAX_REPEATED} more such lines in log.txt", log)
    return f"failed: {', '.join(failed)}" if failed else 0


def run_part(command: tuple[str, ...], limit_s: int, log: IO[str]) -> tuple[int | str, list[str]]:
    """The exit code, or that the time was up, and the lines that the end repeats."""
    paths = (str(ROOT), str(ROOT / "python"), os.environ.get("PYTHONPATH", ""))
    environment = {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its own processes end with it
    )
    is_late = threading.Event()

    def stop() -> None:
        is_late.set()
        _kill(process)

    timer = threading.Timer(limit_s, stop)
    timer.start()
    repeated = []
    try:
        for line in process.stdout:
            _tell(line.rstrip("\n"), log)
            if any(mark in line for mark in MARKS) and not line.startswith("{"):
                repeated.append(line.strip())
        code = process.wait()
    finally:
        timer.cancel()
        _kill(process)
    return (f"stopped after {limit_s} s" if is_late.is_set() else code), repeated


def _kill(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL)


def _tell(line: str, log: IO[str]) -> None:
    print(line, flush=True)
    log.write(line + "\n")
    log.flush()


def summary(folder: Path) -> list[str]:
    """The tables of the records in a folder, without empty lines."""
    texts = []
    for name in SUMMARY_TABLES:
        source = tables.TABLES[name]
        texts += [name, *(tables.render(source, r) for r in _records(source.record, folder))]
    for record in _records("reward_models", folder):
        texts.append(reward_sentences(record))
        for title, rows in reward_tables(record)[2:]:  # after those of FLOPs
            texts += [title, *(" | ".join(row) for row in rows)]
    lines = "\n".join(texts).splitlines()
    return [line for line in lines if line and not line.startswith("| ---")]


def _records(name: str, folder: Path) -> list[dict]:
    return tables.load_records(name, folder.parent, folder.name)


if __name__ == "__main__":
    main()
