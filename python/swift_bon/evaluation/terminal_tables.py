"""An evaluation as tables on a terminal."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from swift_bon.evaluation.number_texts import interval_text, p_text
from swift_bon.evaluation.record_types import Evaluation
from swift_bon.statistics.resampling import FEW_GROUPS
from swift_bon.statistics.subsets import LARGEST_EXACT

NARROW = 100  # columns of a terminal, below which fewer values of k are shown


def print_evaluation(record: Evaluation, console: Console) -> None:
    """Accuracies of all methods over k, what the reference gains on each, and how it was drawn."""
    console.print(_accuracies(record, most=3 if console.width < NARROW else 6))
    console.print(_differences(record))
    if record["auroc"]:
        console.print(_discrimination(record))
    for note in _notes(record):
        console.print(note, markup=False, highlight=False)


def _notes(record: Evaluation) -> list[str]:
    """How it was drawn, and what is unusual."""
    num_groups = record["num_groups"]
    notes = [
        f"{record['confidence']:.0%} intervals: {record['num_draws']} bootstrap draws of "
        f"{num_groups} groups of prompts that ask for one thing. p: paired permutation test of "
        f"{record['num_permutations']} draws, not corrected for the number of comparisons."
    ]
    if num_groups < FEW_GROUPS:
        notes.append(f"Of {num_groups} groups no interval can be believed: collect more questions.")
    if record["ks"][-1] > LARGEST_EXACT:
        notes.append(
            "Votes and combinations by rank and scaling are averaged over random subsets for k "
            f"from 2 to {record['ks'][-1] - 1}, all else over all of them."
        )
    if record["num_fewer"]:
        notes.append(
            f"{record['num_fewer']} prompts have fewer than {record['ks'][-1]} candidates: for "
            "larger k they count with all they have."
        )
    labels = labels_of(record)
    for name, count in record["no_pick"].items():
        if count:
            notes.append(f"{labels[name]}: {count} prompts have none, there the pick is random.")
    for name, count in record["missing"].items():
        if count:
            notes.append(
                f"{labels[name]}: {count} candidates have no score, and lose to all that have one."
            )
    ratio, low, high = record.get("swift_over_random", [math.nan] * 3)
    if math.isfinite(ratio):
        notes.append(f"swift / random: {ratio:.2f}x ({low:.2f}x to {high:.2f}x)")
    return notes


def labels_of(record: Evaluation) -> dict[str, str]:
    return {method["name"]: method["label"] for method in record["methods"]}


def shown_ks(ks: list[int], most: int) -> list[int]:
    """1, powers of 2, and the last, no more than `most`: the largest are kept."""
    powers = [k for k in ks if k & (k - 1) == 0 and k != ks[-1]]
    return [*powers[-(most - 1) :], ks[-1]]


def _accuracies(record: Evaluation, most: int) -> Table:
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
            Text(method["label"]),
            *(f"{curve[k - 1]:.3f}" for k in ks),
            interval_text(low, high),
            style="bold" if name == record["reference"] else None,
        )
    return table


def _differences(record: Evaluation) -> Table:
    reference, labels = record["reference"], labels_of(record)
    table = Table(title=Text(f"{labels[reference]} against the others, of {record['ks'][-1]}"))
    table.add_column("against")
    for heading in ("gain", "interval", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, (mean, low, high) in record["differences"].items():
        other = Text(labels[name.removeprefix(f"{reference} - ")])
        p = p_text(record["p_values"][name])
        table.add_row(other, f"{mean:+.3f}", interval_text(low, high, "+.3f"), p)
    return table


def _discrimination(record: Evaluation) -> Table:
    labels = labels_of(record)
    table = Table(title="how well each score tells right from wrong: AUROC")
    table.add_column("score")
    for heading in ("of all candidates", "within a prompt", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, area in record["auroc"].items():
        within, low, high = record["auroc_within"][name]
        interval = interval_text(low, high) if math.isfinite(within) else ""
        table.add_row(Text(labels[name]), _number(area), _number(within), interval)
    return table


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""
