"""Who may import whom, and how long a file and a function may be."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Each imports only from those before it; "" is the door of swift_bon itself.
ORDER = (
    *("lazy", "storage", "seeds", "plotting", "statistics", "graders", "tasks", "candidates"),
    *("models", "generation", "collection", "features", "fitting", "evaluation", "diagnosis"),
    *("", "cli", "__main__"),
)
LONGEST_FILE, LONGEST_FUNCTION = 250, 60


def modules(base: str, folder: str) -> dict[str, Path]:
    paths = {}
    for path in sorted((ROOT / base / folder).rglob("*.py")):
        parts = path.relative_to(ROOT / base).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All below a node but what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from running(child)


def imports(path: Path, known: set[str]) -> set[str]:
    """Those of the known modules that a file imports, at its top or inside a function."""
    names = set()
    for node in running(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write the whole name of the module"
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & known
            names |= inside or {node.module} & known
    return names


PATHS = modules(".", "swift_kernels") | modules("python", "swift_bon")
EDGES = [(name, to) for name, path in PATHS.items() for to in sorted(imports(path, set(PATHS)))]


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def rank(module: str) -> int:
    """The kernels stand before all rooms."""
    package, _, name = room(module).partition(".")
    assert package == "swift_kernels" or name in ORDER, f"{module} has no place in ORDER"
    return -1 if package == "swift_kernels" else ORDER.index(name)


def circle(edges: list[tuple[str, str]]) -> str | None:
    sorter = TopologicalSorter()
    for name, to in edges:
        sorter.add(name, to)
    try:
        sorter.prepare()
    except CycleError as error:
        return " is imported by ".join(error.args[1])
    return None


def assert_none(rows: list[str]) -> None:
    assert not rows, "\n" + "\n".join(rows)


def test_each_room_imports_only_from_those_before_it():
    assert_none([f"{name} imports {to}" for name, to in EDGES if rank(to) > rank(name)])


def test_statistics_know_no_other_room():
    own = {f"swift_bon.{name}" for name in ("statistics", "seeds", "lazy")}
    out = [edge for edge in EDGES if room(edge[0]) == "swift_bon.statistics"]
    assert_none([f"{name} imports {to}" for name, to in out if room(to) not in own])


def test_no_circle_among_files():
    assert circle(EDGES) is None


def test_no_circle_among_rooms():
    assert circle([(room(a), room(b)) for a, b in EDGES if room(a) != room(b)]) is None


def test_only_tests_import_their_helpers():
    helpers = {path.stem for path in (ROOT / "tests/helpers").glob("*.py")}
    others = PATHS | modules(".", "bench")
    rows = [(name, imports(path, helpers)) for name, path in others.items()]
    assert_none([f"{name} imports {', '.join(found)}" for name, found in rows if found])


def test_no_file_is_too_long():
    """Here, in the packages, and wherever else there is code of ours."""
    folders = ("swift_kernels", "python", "bench", "docs", "examples", "tests")
    kinds = (".py", ".css", ".js", ".html")
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))]
    paths = [path for path in files if path.suffix in kinds]
    lines = {path.relative_to(ROOT): path.read_text("utf-8").count("\n") for path in paths}
    assert_none([f"{path}: {n} lines" for path, n in lines.items() if n > LONGEST_FILE])


def test_no_function_is_too_long():
    """Below its docstring; Triton kernels excepted."""
    rows = []
    for name, path in PATHS.items():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = node.end_lineno - body[0].lineno + 1 if body else 0
                is_kernel = any("triton.jit" in ast.unparse(d) for d in node.decorator_list)
                if length > LONGEST_FUNCTION and not is_kernel:
                    rows.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
    assert_none(rows)
