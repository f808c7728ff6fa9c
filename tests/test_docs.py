"""Pages that are made from the code, or name what stands in it, are those of today's code."""

import ast
import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest

from public_names import doors

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PACKAGES = ("swift_kernels", "python/swift_bon")
ERRORS = re.findall(r"^### `(.+)`$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)


def test_the_command_line_page_is_that_of_the_commands():
    made = runpy.run_path(str(DOCS / "command_line.py"))["command_line"]()
    assert (DOCS / "command-line.md").read_text(encoding="utf-8") == made, "run `make docs`"


def test_each_public_name_is_in_the_api():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    shown = [entry.rpartition(".") for entry in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)]
    assert len(shown) == len(set(shown))
    ids = {id(getattr(import_module(module), name)) for module, _, name in shown}
    for door, module in doors().items():
        missing = [name for name in module.__all__ if id(getattr(module, name)) not in ids]
        assert not missing, door


def texts() -> list[str]:
    """Every string of both packages, with a NUL for what is filled in."""
    found = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.append(
                        "".join(
                            part.value if isinstance(part, ast.Constant) else "\0"
                            for part in node.values
                        )
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return found


TEXTS = texts()


@pytest.mark.parametrize("error", ERRORS)
def test_each_error_that_is_explained_is_raised(error):
    pattern = re.compile(r"[^\n]*?".join(map(re.escape, error.split("..."))))
    assert any(pattern.match(text) for text in TEXTS)


def test_every_module_is_on_the_map_and_every_file_of_the_map_exists():
    """The map of docs/design.md: the files of swift_kernels and the rooms of swift_bon."""
    design = (DOCS / "design.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"^```\n(swift_kernels/.*?)^```$", design, re.MULTILINE | re.DOTALL)
    kernels, bon = (ROOT / package for package in PACKAGES)
    there = {kernels: set(), bon: set()}
    for folder, names in there.items():
        for path in folder.iterdir():
            is_room = (path / "__init__.py").exists()
            if is_room or (path.suffix == ".py" and not path.stem.startswith("__")):
                names.add(path.stem)
    parts = re.split(r"^(?=python/swift_bon/|bench/)", tree, flags=re.MULTILINE)
    for part, names in zip(parts, there.values(), strict=False):
        on_map = re.findall(r"^  ([a-z_/]+(?:, [a-z_/]+)*)(?:  |$)", part, re.MULTILINE)
        named = {name.rstrip("/") for line in on_map for name in line.split(", ")}
        assert named == names
