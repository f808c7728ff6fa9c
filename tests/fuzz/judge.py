"""One case: files damaged by the draw of its number, read, and what came of it."""

import os
import random
import resource
import shutil
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

from damage import damage
from targets import TARGETS

MEMORY_BYTES = 2**28  # beyond what the process has before; all files together are far smaller
REFUSALS = (ValueError, TypeError, OSError)  # what readers document
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")


class Case(NamedTuple):
    """`number` draws the damage, from `seed`."""

    seed: int
    number: int

    @property
    def target(self) -> str:
        return list(TARGETS)[self.number % len(TARGETS)]


class Fault(NamedTuple):
    """What should not have come of a case. Two of one `kind` are of one cause."""

    case: Case
    kind: str
    text: str


def make_files(case: Case, folder: Path, trap: Path) -> None:
    """The files of a case, in a new folder."""
    draw = random.Random(f"{case.seed} {case.number}")
    target = TARGETS[case.target]
    folder.mkdir(parents=True)
    target.write(folder)
    damage(folder, draw, trap)
    if draw.random() < 0.75 and all(path.is_file() for path in folder.rglob("*.*")):
        target.seal(folder, draw)


def judge(case: Case, scratch: Path) -> Fault | None:
    """Read the files of a case in `scratch/files`. None where all went as it must."""
    folder, trap = scratch / "files", scratch / "executed"
    shutil.rmtree(folder, ignore_errors=True)
    make_files(case, folder, trap)
    names = [str(folder), *(path.name for path in folder.rglob("*"))]
    before = sorted(os.listdir(scratch))
    fault = _read(case, folder, names)
    if trap.exists():
        trap.unlink()
        return Fault(case, f"{case.target}: runs a program", f"{trap} was written")
    if sorted(os.listdir(scratch)) != before:
        return Fault(case, f"{case.target}: writes outside", str(os.listdir(scratch)))
    return fault


def _read(case: Case, folder: Path, names: list[str]) -> Fault | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            TARGETS[case.target].read(folder)
    except Exception as error:  # whatever comes is what is judged here
        what = _wrong_with(error, names)
        if what is None:
            return None
        place = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in place if "site-packages" not in frame.filename] or place
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        return Fault(case, f"{case.target}: {what}, {where}", traceback.format_exc())
    return None


def _wrong_with(error: Exception, names: list[str]) -> str | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or any(text in str(cause) for text in OUT_OF_MEMORY):
            return "takes memory by a number of the file"
        cause = cause.__cause__ or cause.__context__
    if not isinstance(error, REFUSALS):
        return f"raises {type(error).__name__}"
    return None if any(name in str(error) for name in names) else "refuses without naming a file"


def limit_memory() -> None:
    """Of this process, from now on."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
