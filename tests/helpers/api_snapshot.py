"""The public surface as JSON: names and their parameters, commands and their flags, keys of files.

What is promised stands in CONTRIBUTING.md. Written anew, after a change that is meant:

    python tests/helpers/api_snapshot.py
"""

import inspect
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from safetensors import safe_open
from typer.main import get_command

from fixture_files import INPUTS, write_files
from public_names import doors
from swift_bon.cli import app

SNAPSHOT = Path(__file__).parent.parent / "fixtures/api.json"


def snapshot() -> dict[str, object]:
    cli = get_command(app)
    return {
        "names": {
            door: {name: describe(getattr(module, name)) for name in sorted(module.__all__)}
            for door, module in doors().items()
        },
        "commands": {
            name: {flag: repr(default) for flag, default in sorted(flags(command))}
            for name, command in (("", cli), *sorted(cli.commands.items()))
        },
        "files": keys_of_files(),
    }


def describe(value: object) -> object:
    """Of a function its parameters, of a class also its members, of a constant its keys."""
    if not callable(value):
        return sorted(value)
    if not inspect.isclass(value):
        return parameters(value)
    own = [base for base in value.__mro__ if base.__module__.startswith("swift_")]
    members = {name for base in own for name in (*vars(base), *inspect.get_annotations(base))}
    others = [base for base in value.__mro__ if base not in own]
    return {
        "call": parameters(value, {name for base in others for name in fields_of(base)}),
        "members": sorted(name for name in members if not name.startswith("_")),
    }


def fields_of(base: type) -> Iterable[str]:
    return getattr(base, "__dataclass_fields__", ())


def parameters(function, left_out: Collection[str] = ()) -> str:
    """Names, kinds and defaults, as they would be written; no types."""
    if inspect.isclass(function) and issubclass(function, Warning):  # it has none to be read
        return "(*args)"
    signature = inspect.signature(function)
    kept = [p for name, p in signature.parameters.items() if name not in left_out]
    plain = [p.replace(annotation=p.empty) for p in kept]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


def flags(command) -> Iterator[tuple[str, object]]:
    for parameter in command.params:
        yield " ".join([*parameter.opts, *parameter.secondary_opts]), parameter.default


def keys_of_files() -> dict[str, list[str]]:
    """By file, of one of each kind, the path of each key; NAME stands for a method's name."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        for path in sorted(Path(folder).rglob("*.*")):
            if path.name not in INPUTS and path.suffix in (".json", ".jsonl", ".safetensors"):
                found[path.relative_to(folder).as_posix()] = sorted(set(keys_of_file(path)))
    return found


def keys_of_file(path: Path) -> Iterator[str]:
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            yield from file.keys()
        return
    content = path.read_text(encoding="utf-8")
    for record in content.splitlines() if path.suffix == ".jsonl" else [content]:
        yield from key_paths(json.loads(record))


def key_paths(value: object, names: frozenset[str] = frozenset()) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from (f"[]{path}" for path in key_paths(one, names))
    elif isinstance(value, dict):
        if isinstance(value.get("methods"), list):  # an evaluation
            names = frozenset(method["name"] for method in value["methods"])
        for key, inner in value.items():
            key = "NAME" if key in names or " - " in key else key
            yield f".{key}"
            yield from (f".{key}{path}" for path in key_paths(inner, names))


def to_text(found: dict[str, object]) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(to_text(snapshot()), encoding="utf-8")
