"""Where and when a benchmark ran: the header of its results."""

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]


def default_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine() -> dict[str, str | int | None]:
    """The header of a record. What is not installed or cannot be asked is None."""
    is_gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if is_gpu else f"{num_cores()} CPU cores",
        "processor": processor(),
        "cores": num_cores(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": _version("triton"),
        "transformers": _version("transformers"),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cuda": (torch.version.cuda or torch.version.hip) if is_gpu else None,
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
    }


def machine_slug() -> str:
    """The folder of this machine's results: "nvidia-h200", "xeon-2-cores"."""
    if torch.cuda.is_available():
        return slug(torch.cuda.get_device_name())
    return f"{slug(short_processor(processor()))}-{num_cores()}-cores"


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def short_processor(name: str) -> str:
    """A processor's name without its maker, its trade marks and its clock."""
    name = re.sub(r"@.*|\((?:r|tm|c)\)", " ", name, flags=re.IGNORECASE)
    name = re.sub(r"\b(?:intel|amd|cpu|processor|\d+-core)\b(?!-)", " ", name, flags=re.IGNORECASE)
    return " ".join(name.split()) or "cpu"


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except FileNotFoundError:  # not Linux
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit, with "+dirty" where tracked code differs; `GIT_COMMIT` outside a checkout.

    The results, the README and docs are left out: benchmarks write them.
    """
    # a copied tree may belong to another user, which git refuses by default
    git = ("git", "-c", "safe.directory=*", "-C", str(ROOT))
    head = _output(*git, "rev-parse", "HEAD")
    if head is None:
        return os.environ.get("GIT_COMMIT")
    code = ("--", ".", ":(exclude)bench/results", ":(exclude)README.md", ":(exclude)docs")
    changes = _output(*git, "status", "--porcelain", "--untracked-files=no", *code)
    return head if changes == "" else f"{head}+dirty"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    """What a command prints; None where it is missing or fails."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
