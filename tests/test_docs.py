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


@pytest.mark.parametrize("folder", ["swift_kernels", "python/swift_bon"])
def test_each_room_is_in_the_design(folder):
    design = (DOCS / "design.md").read_text(encoding="utf-8")
    for path in (ROOT / folder).iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            name = path.stem
            assert name.startswith("__") or re.search(rf"\b{name}\b", design), name
