"""One self-contained HTML page of an evaluation, or of the candidates of a few prompts."""

from swift_bon.evaluation.page.assembly import render_page

__all__ = ["render_page"]
