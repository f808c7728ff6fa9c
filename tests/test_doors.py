"""The doors of packages: what they offer, what they load, and who may go through which."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "python/swift_bon"
LAZY = [
    path.parent for path in sorted(ROOT.rglob("__init__.py")) if "lazy_names(" in path.read_text()
]


@pytest.mark.parametrize("folder", LAZY, ids=lambda folder: folder.name)
def test_a_lazy_door_says_one_thing_three_times(folder):
    """Its `__all__`, its table, and its imports for type checkers."""
    tree = ast.parse((folder / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    name = ".".join(("swift_bon", *folder.relative_to(ROOT).parts))
    door = importlib.import_module(name)
    assert typed == door._MODULES
    assert sorted(door.__all__) == sorted(typed)
    for public in door.__all__:
        assert getattr(door, public) is getattr(importlib.import_module(typed[public]), public)
    assert set(door.__all__) <= set(dir(door))


def test_an_unknown_name_is_refused():
    import swift_bon

    with pytest.raises(AttributeError, match="module 'swift_bon' has no attribute 'best_of_m'"):
        swift_bon.best_of_m  # noqa: B018
    assert not hasattr(swift_bon, "generation.best_of.nothing")
    assert swift_bon.statistics.auroc


def loaded_by(code: str) -> set[str]:
    """Modules in a fresh process after `code`."""
    code += "; import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    ["import swift_bon", "import swift_bon, swift_bon.cli", "from swift_bon.cli import app"],
)
def test_the_entrance_is_light(code):
    heavy = {"torch", "transformers", "triton", "matplotlib", "numpy"}
    assert not heavy & loaded_by(code)


@pytest.mark.parametrize(
    ("missing", "name"), [("transformers", "swift_bon.best_of_n"), ("typer", "swift_bon.cli.app")]
)
def test_what_the_extra_brings_is_named(missing, name):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import swift_bon\n"
        f"try: {name}\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"{name} needs {missing}; " in run.stdout
    assert "pip install '.[generate]'" in run.stdout
