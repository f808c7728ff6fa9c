"""Show the examples of docstrings as code: Markdown takes their `>>>` for quotations."""

import textwrap
from typing import Any

import griffe


class DocstringExamples(griffe.Extension):
    """Put paragraphs that begin with `>>>` under the heading that griffe knows."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None and ">>>" in obj.docstring.value:
            obj.docstring.value = with_heading(obj.docstring.value)


def with_heading(text: str) -> str:
    """The docstring with its examples in a section of their own."""
    paragraphs = text.split("\n\n")
    examples = [part for part in paragraphs if part.startswith(">>>")]
    if not examples:
        return text
    others = [part for part in paragraphs if not part.startswith(">>>")]
    section = textwrap.indent("\n\n".join(examples), "    ")
    return "\n\n".join([*others, f"Examples:\n{section}"])
