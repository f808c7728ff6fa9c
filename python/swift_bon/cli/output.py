"""What commands put out: JSON, records, tables, pages."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swift_bon.evaluation import terminal_tables
from swift_bon.evaluation.record_types import Evaluation
from swift_bon.storage import finite_json, write_whole

if TYPE_CHECKING:  # a command that prints needs no transformers
    from swift_bon.generation.results import BestOfN


def result_record(result: "BestOfN") -> dict[str, Any]:
    """As JSON, without what was not asked for."""
    record = asdict(result)
    for candidate in record["candidates"]:
        del candidate["free_scores"], candidate["token_scores"]
    return record


def print_result(record: dict[str, Any]) -> None:
    """The candidates of one prompt as a table, the pick first."""
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
    Console().print(table)


def print_json(record: Mapping[str, object]) -> None:
    """One line of strict JSON."""
    print(json.dumps(finite_json(record), ensure_ascii=False, allow_nan=False))


def print_record(record: Mapping[str, object], as_json: bool) -> None:
    """As one line of JSON, or a line for each of its names."""
    if as_json:
        print_json(record)
        return
    for name, value in record.items():
        typer.echo(f"{name}: {value}")


def print_evaluation(record: Evaluation) -> None:
    """An evaluation as tables."""
    terminal_tables.print_evaluation(record, Console())


def write_page(path: Path, page: str) -> None:
    """A reader finds the old page or the new one, never a part."""
    write_whole(path, page)
