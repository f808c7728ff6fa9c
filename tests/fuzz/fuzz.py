"""Try the readers on damaged files, for some seconds: make fuzz SECONDS=60.

    python tests/fuzz/fuzz.py --seconds 60 --seed 3
    python tests/fuzz/fuzz.py --seed 3 --case 1234       that case again, its files kept

Readers of heads, stores, candidates, rollouts, questions and journals of scores refuse what they
cannot read, as they document it and naming a file. They run no program, take no memory that grows
with a number in a file, write nothing elsewhere, and come to an end.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from judge import Case, Fault, judge, limit_memory, make_files

MAX_CASE_SECONDS = 30  # of a machine that is busy; a case takes milliseconds


def work(seed: int, first: int, scratch: Path, results: Connection) -> None:
    """Case after case: its number before it begins, and the fault if there is one."""
    torch.set_num_threads(1)
    limit_memory()
    number = first
    while True:
        results.send(number)
        if fault := judge(Case(seed, number), scratch):
            results.send(fault)
        number += 1


def run(seconds: float, seed: int, first: int = 0) -> tuple[int, list[Fault]]:
    """How many cases were tried, and the faults, the first of each kind."""
    faults: dict[str, Fault] = {}
    with tempfile.TemporaryDirectory() as scratch:
        end, number = time.monotonic() + seconds, first
        while time.monotonic() < end:
            for result in _results(seed, number, Path(scratch), end):
                if isinstance(result, Fault):
                    faults.setdefault(result.kind, result)
                    number = result.case.number
                else:
                    number = result
            number += 1
    return number - first, list(faults.values())


def _results(seed: int, first: int, scratch: Path, end: float) -> Iterator[int | Fault]:
    """What one process says until it ends; a crash or a case without an end is a fault too."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(seed, first, scratch, sender), daemon=True)
    process.start()
    sender.close()
    number = first
    try:
        while time.monotonic() < end:
            if not receiver.poll(MAX_CASE_SECONDS):
                yield _fault(Case(seed, number), "does not come to an end")
                return
            result = receiver.recv()
            number = result.case.number if isinstance(result, Fault) else result
            yield result
    except EOFError:
        process.join()
        yield _fault(Case(seed, number), f"ends the process with {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _fault(case: Case, what: str) -> Fault:
    return Fault(case, f"{case.target}: {what}", what)


def again(case: Case) -> Fault | None:
    """One case, in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        limit_memory()
        return judge(case, Path(scratch))


def keep(case: Case, folder: Path) -> Path:
    """The files of a case, to look at."""
    files = folder / f"{case.target.replace(' ', '-')}-{case.seed}-{case.number}"
    if not files.exists():
        make_files(case, files, folder / "executed")
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="the number of one case, to try it again")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="for files of faults")
    options = parser.parse_args()
    if options.case is None:
        num_cases, faults = run(options.seconds, options.seed)
    else:
        num_cases, faults = 1, [f for f in [again(Case(options.seed, options.case))] if f]
    for fault in faults:
        print(
            f"\n{fault.text}\n{fault.kind}\nseed {fault.case.seed}, case {fault.case.number}:",
            end=" ",
        )
        print(f"{keep(fault.case, options.out)}")
    print(f"{num_cases} cases, {len(faults)} kinds of faults, seed {options.seed}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
