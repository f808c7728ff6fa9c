"""The command line."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:  # the modules are for what commands fetch only when they run
    import swift_bon.cli.conversion
    import swift_bon.cli.demo
    import swift_bon.cli.output  # noqa: F401
    from swift_bon.cli.main import app

__all__ = ["app"]

_MODULES = {"app": "swift_bon.cli.main"}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
