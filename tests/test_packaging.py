"""What is shipped: a wheel has every file of both packages, and one version."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomllib

import swift_kernels
from installed_versions import TESTED, is_lowest, lower_bounds
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


def test_every_requirement_has_a_lower_bound_that_can_be_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for name in TESTED for line in extras[name])]
    names = {re.split(r"[^\w-]", line)[0] for line in lines} - {"swift-kernels"}
    assert names == lower_bounds().keys()


def test_the_lowest_versions_are_those_that_are_written_down():
    bounds = lower_bounds()
    text = (ROOT / "docs/quickstart.md").read_text("utf-8")
    heads, lowest = (
        re.findall(rf"^\|{row}.*$", text, re.MULTILINE)[0] for row in (" \\|", " the l")
    )
    names, versions = (re.findall(r"[^| ]+", row.split("|", 2)[2]) for row in (heads, lowest))
    assert "torch" in names
    for name, version in zip(names, versions, strict=True):
        assert is_lowest(version, bounds[name]), f"{name} {version} in the docs, {bounds[name]}"
    for page in ("README.md", "docs/quickstart.md"):
        words = (ROOT / page).read_text("utf-8")
        assert f"PyTorch {bounds['torch']}" in words
        assert f"transformers {bounds['transformers']}" in words


@pytest.mark.parametrize(
    ("installed", "bound", "is_equal"),
    [("4.66.0", "4.66", True), ("2.13.0+cpu", "2.13", True), ("2.13.1", "2.13", False)],
)
def test_which_version_is_the_lowest(installed, bound, is_equal):
    assert is_lowest(installed, bound) == is_equal


def test_a_citation_names_this_version():
    assert f"\nversion: {swift_kernels.__version__}\n" in (ROOT / "CITATION.cff").read_text()
