"""The page of architectures: what came of each family, from its record."""

from collections.abc import Sequence
from typing import Any

from rendering.table_texts import machine_line, markdown_table

MEANINGS = {
    "passed": "built, written with and green in every check of the doctor",
    "limited": "red in what transformers alone does wrong as well, without a line of ours",
    "refused": "`best_of_n` says in words why it cannot score the model; nothing is scored wrong",
    "no text alone": "plain `generate` raises where it is given nothing but text",
    "not built": "no model could be built from a small configuration",
    "failed": "a check of the doctor is red",
}


def render_architectures(record: dict[str, Any]) -> str:
    """Counts, the passed families by name, and the others each with its reason."""
    counts = record["counts"]
    rows = record["rows"]
    classes = {row["class"] for row in rows if row["outcome"] == "passed"}
    head = (
        f"{len(rows)} families tried, {counts['passed']} passed ({len(classes)} classes of models) "
        f"in {record['seconds']:,} s with {record['processes']} processes. {machine_line(record)}"
    )
    summary = [(name, f"{counts[name]}", MEANINGS[name]) for name in MEANINGS if counts[name]]
    parts = [head, markdown_table(("outcome", "families", "meaning"), summary)]
    for outcome in MEANINGS:
        found = [row for row in rows if row["outcome"] == outcome]
        if found and outcome == "passed":
            names = ", ".join(_name(row, rows) for row in found)
            parts.append(f"### {outcome}\n\n{names}.")
        elif found:
            lines = [(_name(row, rows), row["class"], _cell(row["words"])) for row in found]
            table = markdown_table(("family", "class", "what was said"), lines)
            parts.append(f"### {outcome}\n\n{table}")
    return "\n\n".join(parts)


def _name(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """The model type, with the class where two of its classes are listed."""
    is_alone = sum(other["family"] == row["family"] for other in rows) == 1
    name = f"`{row['family']}`"
    return name if is_alone else f"{name} (`{row['class']}`)"


def _cell(words: str) -> str:
    return words.replace("|", r"\|").replace("<", "&lt;")
