"""What is shipped: a wheel has every file of both packages, and one version."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import swift_kernels
from swift_bon.lazy import GENERATE

ROOT = Path(__file__).parent.parent
PACKAGES = {"swift_kernels": ROOT, "swift_bon": ROOT / "python"}
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built in a copy, because building leaves folders behind."""
    copy, output = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name, folder in PACKAGES.items():
        target = copy / folder.relative_to(ROOT) / name
        shutil.copytree(folder / name, target, ignore=CACHES)
    command = [sys.executable, "-c", BUILD, str(output)]
    run = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (path,) = output.glob("*.whl")
    return path


def test_every_file_of_both_packages_is_in_it(wheel):
    files = {
        path.relative_to(folder).as_posix()
        for name, folder in PACKAGES.items()
        for path in (folder / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == files
    for name in ("swift_kernels/py.typed", "swift_bon/py.typed"):
        assert name in files


def test_version_and_command(wheel):
    assert wheel.name.startswith(f"swift_kernels-{swift_kernels.__version__}-")
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("entry_points.txt"))
        assert "swift-bon = swift_bon.cli:app" in file.read(name).decode()


def test_the_door_knows_what_the_extra_brings(wheel):
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("METADATA"))
        text = file.read(name).decode()
    names = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*; extra == .generate.$", text, re.MULTILINE)
    assert names == list(GENERATE)


def test_a_citation_names_this_version():
    assert f"\nversion: {swift_kernels.__version__}\n" in (ROOT / "CITATION.cff").read_text()
