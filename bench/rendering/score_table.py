"""The record of the score's benchmark on a terminal."""

from rich.console import Console
from rich.table import Table

COLUMNS = ("p20", "p50", "p80 ms", "GB/s", "% copy", "% read", "extra MB", "ours faster")


def print_table(record: dict) -> None:
    console = Console(width=120)
    table = Table(title="scores of N candidates x T tokens")
    for name in ("input", "form"):
        table.add_column(name)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for row in record["rows"]:
        add_row(table, row)
    if record["left_padded"] is not None:
        add_row(table, record["left_padded"], ", left-padded")
    console.print(table)
    tokens = record["token_scores"]
    if tokens is not None:
        console.print(
            f"with return_token_scores: {tokens['p50_ms']:.3f} ms, {tokens['gb_per_s']:.1f} GB/s"
        )
    for name, microseconds in record.get("host_us", {}).items():
        console.print(f"host time of one call, {name}: {microseconds:.1f} us")


def add_row(table: Table, row: dict, remark: str = "") -> None:
    """A line for each form of one input."""
    size = f"{row['num_candidates']}x{row['num_tokens']}"
    label = f"{row['shape']}, {row['dtype']}, {size}{remark}"
    for name, form in row["forms"].items():
        ratio = row["speedup"].get(name)
        table.add_row(label, name, *_cells(form), "" if ratio is None else f"{ratio:.2f}x")
        label = ""
    table.add_section()


def _cells(form: dict | None) -> list[str]:
    if form is None:
        return ["-"] * (len(COLUMNS) - 1)
    peak = form["peak_extra_bytes"]
    return [
        *(f"{form[name]:.3f}" for name in ("p20_ms", "p50_ms", "p80_ms")),
        f"{form['gb_per_s']:.1f}",
        f"{form['copy_percent']:.0f}",
        f"{form['read_percent']:.0f}",
        "" if peak is None else f"{peak / 1e6:.1f}",
    ]
