"""Between commands and the terminal: prompts read, and errors of one line."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import typer


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Bad input ends with its message, not with a traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError, RuntimeError, ModuleNotFoundError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def read_prompts(prompts: list[str], file: Path | None) -> list[str]:
    texts = [text for text in prompts if text != "-"]
    lines = sys.stdin.read().splitlines() if "-" in prompts else []
    if file is not None:
        lines += file.read_text(encoding="utf-8").splitlines()
    texts += [line for line in lines if line.strip()]
    if not texts:
        raise ValueError(
            "there are no prompts; give some as arguments, with --file, or - for stdin"
        )
    return texts


def say(text: str) -> None:
    """Beside the output, so that it can be read by a program."""
    typer.echo(text, err=True)
