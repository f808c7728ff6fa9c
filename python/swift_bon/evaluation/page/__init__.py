"""One self-contained HTML page of an evaluation, or of the candidates of a few prompts."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.evaluation.page.assembly import render_page

__all__ = ["render_page"]

_MODULES = {"render_page": "swift_bon.evaluation.page.assembly"}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
