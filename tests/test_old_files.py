"""Files of every version before are read, and mean what they meant."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixture_files import NUM_DRAWS, collect_candidates, read_files
from swift_bon import evaluate

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(params=sorted(FIXTURES.glob("v*")), ids=lambda folder: folder.name)
def old(request, tmp_path):
    """A copy: nothing is written beside what is kept."""
    return Path(shutil.copytree(request.param, tmp_path / "old"))


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{path}.{key}")
    else:
        yield path, value


def assert_holds(actual: object, expected: object) -> None:
    """What was there is there, with the same numbers; more may have come."""
    found = dict(leaves(actual))
    for path, value in leaves(expected):
        same = pytest.approx(value, rel=1e-4, abs=1e-5) if isinstance(value, float) else value
        assert found[path] == same, path


def test_the_numbers_in_old_files(old, tmp_path):
    expected = json.loads((old / "expected.json").read_text())
    assert_holds(read_files(old, tmp_path), expected)


def test_an_evaluation_says_what_it_said(old):
    expected = json.loads((old / "candidates.evaluation.json").read_text())
    assert_holds(evaluate(old / "candidates.jsonl", num_draws=NUM_DRAWS), expected)


def test_a_run_of_then_goes_on(old):
    """It knows its settings again; here nothing was left to do."""
    before = (old / "candidates.jsonl").read_bytes()
    collect_candidates(old)
    assert (old / "candidates.jsonl").read_bytes() == before
