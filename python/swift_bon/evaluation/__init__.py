"""What each method picks, and how good that is: numbers, tables, plots, a page."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.evaluation.comparison import evaluate
    from swift_bon.evaluation.inspection import inspect_prompt
    from swift_bon.evaluation.reports import report

__all__ = [
    "evaluate",
    "inspect_prompt",
    "report",
]

_MODULES = {
    "evaluate": "swift_bon.evaluation.comparison",
    "inspect_prompt": "swift_bon.evaluation.inspection",
    "report": "swift_bon.evaluation.reports",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
