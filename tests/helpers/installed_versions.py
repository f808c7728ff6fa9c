"""Print which versions are tested, and whether each is the lowest that pyproject.toml promises.

python tests/helpers/installed_versions.py
"""

import argparse
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[2]
BOUND = re.compile(r"([\w-]+)>=([\w.]+)")
TESTED = ("generate", "train", "demo", "test")  # extras that the tests install


def lower_bounds() -> dict[str, str]:
    """Of each package that is used or tested with, as pyproject.toml has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for name in TESTED for line in project["optional-dependencies"][name]]
    return dict(
        m.groups() for line in (*project["dependencies"], *extras) if (m := BOUND.match(line))
    )


def is_lowest(installed: str, bound: str) -> bool:
    """4.66 and 4.66.0 are one version, and a local one as 2.13.0+cpu is none of its own."""
    return _numbers(installed) == _numbers(bound)


def _numbers(text: str) -> list[int]:
    numbers = [int(number) for number in re.findall(r"\d+", text.split("+")[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lowest", action="store_true", help="fail where one is not the lowest")
    must_be_lowest = parser.parse_args().lowest
    print(f"python {platform.python_version()}")
    num_others = 0
    for name, bound in lower_bounds().items():
        installed = version(name)
        is_other = not is_lowest(installed, bound)
        num_others += is_other
        print(f"{name} {installed}{'' if is_other else ' (the lowest)'}")
    return 1 if must_be_lowest and num_others else 0


if __name__ == "__main__":
    sys.exit(main())
