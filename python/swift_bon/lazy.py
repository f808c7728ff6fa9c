"""Doors that cost nothing until somebody goes through: a package's names, fetched when used."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

# What `pip install .` leaves to its extra "generate".
GENERATE = (
    "transformers",
    "filelock",
    "platformdirs",
    "rich",
    "tqdm",
    "typer",
    "typing_extensions",
)


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        package: `__name__` of its `__init__`.
        modules: the module that each name comes from. Modules of the package itself are found
            without being named, as after an eager import of them.

    The names are written twice more in an `__init__`: in `__all__` and, for type checkers, as
    imports under `TYPE_CHECKING`; tests/test_doors.py holds the three together.
    """

    def fetch(name: str) -> Any:
        try:
            if name in modules:
                return getattr(importlib.import_module(modules[name]), name)
            module = f"{package}.{name}"
            if name.isidentifier() and name[0] != "_" and importlib.util.find_spec(module):
                return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name not in GENERATE:
                raise
            raise ModuleNotFoundError(
                f"{package}.{name} needs {error.name}; in the folder of this project run: "
                "pip install '.[generate]'",
                name=error.name,
            ) from error
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted({*modules, *vars(importlib.import_module(package))})

    return fetch, names
