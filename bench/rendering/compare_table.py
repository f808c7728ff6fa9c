"""The tables of fits compared: the record of `compare_fits.py` as Markdown."""

from typing import Any

from rendering.table_texts import machine_line, markdown_table


def render_features(record: dict[str, Any]) -> str:
    """What a projection costs and keeps."""
    headings = ("features", "bytes a token", "store", *HEADINGS, "to full")
    rows = [
        (
            row["name"],
            f"{row['token_bytes']:,}",
            f"{row['store_bytes'] / 1e9:.2f} GB",
            *_results(row),
        )
        for row in record["features"]
    ]
    return f"{_where(record)}\n\n" + markdown_table(headings, rows)


def render_losses(record: dict[str, Any]) -> str:
    """Which loss picks best within a prompt."""
    rows = [
        ("bce" if row["name"] == "mixed-512" else row["name"], *_results(row))
        for row in record["losses"]
    ]
    return f"{_where(record)}\n\n" + markdown_table(("loss", *HEADINGS, "to bce"), rows)


HEADINGS = ("AUROC", "lowest to highest seed", "best-of-N", "95% interval")


def _results(row: dict[str, Any]) -> tuple[str, ...]:
    accuracy, low, high = row["best_of_n"]
    difference, worst, best = row["difference"]
    return (
        f"{row['auroc']:.3f}",
        "{:.3f} to {:.3f}".format(*row["auroc_range"]),
        f"{accuracy:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{row['auroc_difference']:+.3f} AUROC, {difference:+.3f} ({worst:+.3f} to {best:+.3f})",
    )


def _where(record: dict[str, Any]) -> str:
    return (
        f"Means over {record['num_seeds']} seeds, {record['num_prompts']} questions. "
        + machine_line(record)
    )
