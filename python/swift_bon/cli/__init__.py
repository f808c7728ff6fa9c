"""The command line."""

from swift_bon.cli.main import app

__all__ = ["app"]
