"""Between commands and the terminal: prompts read, and what ended a command in one line."""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import typer

INTERRUPTED = 130  # what a shell gives a command that Ctrl-C ended

_shows_traceback: ContextVar[bool] = ContextVar("_shows_traceback", default=False)


def show_tracebacks(context: typer.Context) -> None:
    """In the commands of this context, `readable_errors` says where it happened, too."""
    token = _shows_traceback.set(True)
    context.call_on_close(lambda: _shows_traceback.reset(token))


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Bad input and Ctrl-C end a command with one line, not with a traceback. A decorator, too."""
    try:
        yield
    except BrokenPipeError:  # who read the output has enough of it
        raise
    except (ValueError, TypeError, OSError, RuntimeError, ModuleNotFoundError) as error:
        _say_the_end(f"error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        _say_the_end("interrupted")
        raise typer.Exit(INTERRUPTED) from error


def _say_the_end(line: str) -> None:
    if _shows_traceback.get():
        traceback.print_exc()
    say(line)


def read_prompts(prompts: list[str], file: Path | None) -> list[str]:
    """Those given, of which "-" stands for the lines of standard input, and the lines of a file."""
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
    """On standard error, so that standard output can be read by a program."""
    typer.echo(text, err=True)
