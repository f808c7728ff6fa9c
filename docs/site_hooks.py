"""What the site does with links that leave docs/, so that the same pages read well without it.

A line that is nothing but a link to an example becomes the example; any other linked file of the
repository is copied into the site.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
EXAMPLE = re.compile(r"^\[(examples/\w+\.py)\]\(\.\./\1\)$", re.MULTILINE)
OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)\)")
FOLDER = "repository"  # of the site


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    pages = [_with_examples(file.content_string) for file in files.documentation_pages()]
    for path in sorted({path for text in pages for path in OUTSIDE.findall(text)}):
        files.append(File.generated(config, f"{FOLDER}/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    return OUTSIDE.sub(rf"]({FOLDER}/\1)", _with_examples(markdown))


def _with_examples(markdown: str) -> str:
    def code(match: re.Match[str]) -> str:
        source = (ROOT / match[1]).read_text(encoding="utf-8")
        return f'```python title="{match[1]}"\n{source}```'

    return EXAMPLE.sub(code, markdown)
