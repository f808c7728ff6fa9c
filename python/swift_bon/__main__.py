"""`python -m swift_bon` is `swift-bon`."""

from swift_bon.cli import app

app()
