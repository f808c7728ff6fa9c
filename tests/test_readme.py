"""What the README and docs say holds: links, commands, tables, and Python that runs as pasted."""

import code
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from swift_bon.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")
LARGEST_README = 9 * 1024  # bytes
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PYTHON_BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (language, block) in enumerate(FENCE.findall(page.read_text(encoding="utf-8")))
    if language == "python"
]


def commands() -> dict[str, str]:
    """Each line of a page that calls swift-bon, without its comment, by where it stands."""
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
        lines += re.findall(r"`(swift-bon [a-z][^`\n]*)`", FENCE.sub("", text))
        for number, line in enumerate(line for line in lines if line.startswith("swift-bon ")):
            found[f"{page.stem}-{number}"] = line
    return {where: line for where, line in found.items() if not line.endswith("[OPTIONS]")}


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as the site and code hosts make them."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_nothing_waits_to_be_filled_in():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"\b[A-Z]+_(?:OUTPUT|TABLE)\b|\bTODO\b", text), page.name


def test_the_readme_is_short():
    assert len(README.encode()) <= LARGEST_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_images_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in LINK.findall(FENCE.sub("", text)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in slugs(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("line", commands().values(), ids=commands())
def test_each_command_line_parses(line):
    name, *arguments = shlex.split(line, comments=True)[1:]
    known = get_command(app).commands
    assert name in known
    if arguments:  # else the page only speaks of the command
        known[name].make_context(name, arguments)  # raises for what it does not know


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_the_python_runs_as_it_is_pasted(block, tmp_path):
    """In an empty folder, line by line, as an interactive Python takes it."""
    python = "import sys, test_readme; sys.exit(test_readme.paste(sys.stdin.read()))"
    path = [str(ROOT / "tests"), *sys.path]
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {python}"],
        input=block,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr
    assert not block.count("print") or result.stdout.strip()


def paste(block: str) -> int:
    """The exit code of pasting a block into an interactive Python."""
    console = code.InteractiveConsole()
    failures: list[str] = []
    console.write = failures.append  # tracebacks go there
    for line in [*block.splitlines(), ""]:
        console.push(line)
    print("".join(failures), file=sys.stderr)
    return int(bool(failures))
