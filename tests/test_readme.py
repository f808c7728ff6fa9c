"""The README tells the truth about the files, and nothing in it waits to be filled in."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_nothing_waits_to_be_filled_in():
    assert not re.findall(r"\b[A-Z]+_(?:OUTPUT|TABLE)\b|\bTODO\b", README)


def test_every_module_is_on_the_map_and_every_file_of_the_map_exists():
    block = README.partition("## Where things are")[2].partition("```")[2].partition("```")[0]
    named = set(re.findall(r"[a-z_]+\.py", block))
    modules = {
        path.name
        for folder in ("swift_kernels", "python/swift_bon")
        for path in (ROOT / folder).glob("*.py")
        if not path.name.startswith("__")
    }
    assert named == modules
