"""An evaluation as tables on a terminal."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from swift_bon.methods import label

NARROW = 100  # columns of a terminal, below which fewer values of k are shown


def print_evaluation(record: dict[str, Any], console: Console) -> None:
    """Accuracies of all methods over k, what the reference gains on each, and how it was drawn."""
    console.print(_accuracies(record, most=3 if console.width < NARROW else 6))
    console.print(_differences(record))
    if record["auroc"]:
        console.print(_discrimination(record))
    notes = [
        f"{record['confidence']:.0%} intervals: {record['num_draws']} bootstrap draws of "
        f"{record['num_groups']} groups of prompts that ask for one thing; p: paired permutation "
        "test, not corrected for their number."
    ]
    if record["num_fewer"]:
        notes.append(
            f"{record['num_fewer']} prompts have fewer than {record['ks'][-1]} candidates: for "
            "larger k they count with all they have."
        )
    for name, count in record["missing"].items():
        if count:
            notes.append(f"{count} candidates have no score {name!r} and are never its pick.")
    if "swift_over_random" in record:
        ratio, low, high = record["swift_over_random"]
        notes.append(f"swift / random: {ratio:.2f}x ({low:.2f}x to {high:.2f}x)")
    for note in notes:
        console.print(note, highlight=False)


def shown_ks(ks: list[int], most: int) -> list[int]:
    """1, powers of 2, and the last, no more than `most`: the largest are kept."""
    powers = [k for k in ks if k & (k - 1) == 0 and k != ks[-1]]
    return [*powers[-(most - 1) :], ks[-1]]


def _accuracies(record: dict[str, Any], most: int) -> Table:
    ks = shown_ks(record["ks"], most)
    title = f"{record['num_prompts']} questions, {record['num_candidates']} candidates"
    table = Table(title=f"{title}: accuracy of the pick among k")
    table.add_column("answer taken")
    for heading in (*(f"k={k}" for k in ks), f"interval, k={ks[-1]}"):
        table.add_column(heading, justify="right", no_wrap=True)
    for method in record["methods"]:
        name = method["name"]
        curve = record["curves"][name]["accuracy"]
        low, high = record["intervals"][name]
        table.add_row(
            method["label"],
            *(f"{curve[k - 1]:.3f}" for k in ks),
            f"{low:.3f} to {high:.3f}",
            style="bold" if name == record["reference"] else None,
        )
    return table


def _differences(record: dict[str, Any]) -> Table:
    reference = record["reference"]
    table = Table(title=f"{label(reference)} against the others, of {record['ks'][-1]}")
    table.add_column("against")
    for heading in ("gain", "interval", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, (mean, low, high) in record["differences"].items():
        other = label(name.removeprefix(f"{reference} - "))
        p = record["p_values"][name]
        table.add_row(other, f"{mean:+.3f}", f"{low:+.3f} to {high:+.3f}", f"{p:.4f}")
    return table


def _discrimination(record: dict[str, Any]) -> Table:
    table = Table(title="how well each score tells right from wrong: AUROC")
    table.add_column("score")
    for heading in ("of all candidates", "within a prompt", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, area in record["auroc"].items():
        within, low, high = record["auroc_within"][name]
        interval = f"{low:.3f} to {high:.3f}" if math.isfinite(within) else ""
        table.add_row(label(name), _number(area), _number(within), interval)
    return table


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""
