"""Between commands and the terminal: prompts read, and what ended a command in one line."""

import contextlib
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

import typer

INTERRUPTED = 130  # what a shell gives a command that Ctrl-C ended

_flags: ContextVar[Mapping[str, str]] = ContextVar("_flags", default=MappingProxyType({}))
_shows_traceback: ContextVar[bool] = ContextVar("_shows_traceback", default=False)


def remember_flags(context: typer.Context) -> None:
    """Of the command that is called, so that `readable_errors` can name them."""
    commands = getattr(context.command, "commands", {})
    parameters = getattr(commands.get(context.invoked_subcommand), "params", ())
    flags = {p.name: p.opts[0] for p in parameters if p.opts[0].startswith("-")}
    token = _flags.set(flags)
    context.call_on_close(lambda: _flags.reset(token))


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
        _say_the_end(f"error: {_with_flag(str(error))}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        _say_the_end("interrupted")
        raise typer.Exit(INTERRUPTED) from error


def _with_flag(message: str) -> str:
    """The flag before a message that begins with the name of a parameter of the command."""
    for name, flag in _flags.get().items():
        if re.match(rf"`?{name}`? ", message):
            return f"{flag}: {message}"
    return message


def _say_the_end(line: str) -> None:
    if _shows_traceback.get():
        traceback.print_exc()
    say(line)


def read_prompts(prompts: list[str], file: Path | None, flag: str = "--file") -> list[str]:
    """Those given, of which "-" stands for the lines of standard input, and the lines of a file."""
    texts = [text for text in prompts if text != "-"]
    lines = sys.stdin.read().splitlines() if "-" in prompts else []
    if file is not None:
        if not file.is_file():
            raise FileNotFoundError(
                f"there is no file {file}; {flag} takes one with a prompt a line"
            )
        lines += file.read_text(encoding="utf-8").splitlines()
    texts += [line for line in lines if line.strip()]
    if not texts:
        if flag != "--file":
            raise ValueError(f"there are no prompts in {file}; {flag} takes one a line")
        raise ValueError(
            "there are no prompts; give some as arguments, with --file, or - for stdin"
        )
    return texts


def say(text: str) -> None:
    """On standard error, so that standard output can be read by a program."""
    typer.echo(text, err=True)
