"""The public surface is the one of the snapshot."""

import difflib

from api_snapshot import SNAPSHOT, snapshot, to_text

WHAT_TO_DO = """
The public surface moved. An addition that is meant: run `python tests/helpers/api_snapshot.py` and
say it in CHANGELOG.md. A name, parameter, flag or key that is gone or means something else breaks
the users who have it: see "Promises" in CONTRIBUTING.md.
"""


def test_the_public_surface_is_as_promised():
    expected = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    actual = to_text(snapshot()).splitlines()
    rows = difflib.unified_diff(expected, actual, "promised", "found", lineterm="", n=3)
    difference = "\n".join(rows)
    assert not difference, f"{WHAT_TO_DO}\n{difference}"
