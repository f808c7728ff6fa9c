"""What the command line reads and prints: prompts, tables, records, one-line errors."""

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swift_bon.storage import finite_json

if TYPE_CHECKING:  # torch takes seconds, which --help should not
    from swift_bon.generation.results import BestOfN


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


def result_record(result: "BestOfN") -> dict[str, Any]:
    """As JSON, without what was not asked for."""
    record = asdict(result)
    for candidate in record["candidates"]:
        del candidate["free_scores"], candidate["token_scores"]
    return record


def print_result(record: dict[str, Any], console: Console) -> None:
    table = Table(title=Text(record["prompt"]), title_justify="left", show_lines=False)
    for heading in ("", "score", "mean log-probability", "candidate"):
        table.add_column(heading, justify="left" if heading in ("", "candidate") else "right")
    order = sorted(
        enumerate(record["candidates"]),
        key=lambda item: (item[0] != record["index"], -item[1]["score"]),
    )
    for index, candidate in order:
        table.add_row(
            "pick" if index == record["index"] else "",
            f"{candidate['score']:.3f}",
            f"{candidate['mean_logprob']:.3f}",
            Text(" ".join(candidate["text"].split())),
        )
    console.print(table)


def print_json(record: dict[str, Any]) -> None:
    """One line of strict JSON."""
    print(json.dumps(finite_json(record), ensure_ascii=False, allow_nan=False))


def print_record(record: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(record)
        return
    for name, value in record.items():
        typer.echo(f"{name}: {value}")
