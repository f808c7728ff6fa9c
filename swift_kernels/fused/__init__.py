"""The one door to Triton: `ops` and `step`; `score`, `gradient` and `tile` stand behind them.

Triton may be missing, so that both are imported when somebody asks for them.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swift_kernels.fused import ops as ops
    from swift_kernels.fused import step as step


def __getattr__(name: str) -> ModuleType:
    if name not in ("ops", "step"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
