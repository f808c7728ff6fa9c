"""Every public name has an example in its docstring, and it runs as it stands."""

import doctest

import pytest
import torch

from public_names import doors

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def public_objects() -> dict[str, object]:
    """Functions and classes under their first names; what is of another type is a constant."""
    first = {}
    for door, module in doors().items():
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                first.setdefault(id(value), (f"{door}.{name}", value))
    return dict(first.values())


PUBLIC = public_objects()


@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_of_a_docstring_runs(name, tmp_path, monkeypatch):
    """In an empty folder and with no names but its own, as a user would paste it."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    found = doctest.DocTestFinder(exclude_empty=False).find(PUBLIC[name], name, globs={})
    own = next(test for test in found if test.name == name)
    assert own.examples, f"the docstring of {name} has no example: write one with >>>"
    runner, failures = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS), []
    for test in found:  # methods may have examples too
        runner.run(test, out=failures.append)
    assert not failures, "".join(failures)
