"""The table of fitting: the record of `fit.py` as Markdown."""

from rendering.table_texts import NONE, machine_line, markdown_table

HEADINGS = (
    *("heads", "an epoch", "the first", "tokens/s", "GB/s", "reading", "arithmetic"),
    *("of reading", "of the slower", "whole fit", "memory held", "with mapped files"),
)


def render(record: dict) -> str:
    """An epoch beside its two ceilings, and the whole fit."""
    store = record["store"]
    where = machine_line(record)
    if record["fit_device"] == "cpu" and record["machine"]["cuda"] is not None:
        where += " Fitted on the CPU."
    size = (
        f"{store['num_candidates']:,} candidates of {store['mean_tokens']} tokens on average, "
        f"{store['dim']} numbers each in {store['dtype']}: {store['num_bytes'] / 1e9:.1f} GB in "
        f"{store['num_shards']} shards."
    )
    cold_s = record["cold_read_s"]
    cold = (
        ""
        if cold_s is None
        else f" Reading from the disk alone: {_rate(store, cold_s)} ({cold_s:.1f} s)."
    )
    rows = [
        (
            str(row["num_heads"]),
            f"{row['epoch_p50_s']:.1f} s",
            f"{row['first_epoch_s']:.1f} s",
            f"{row['tokens_per_s']:,.0f}",
            f"{row['gb_per_s']:.2f}",
            _rate(store, min(row["read_before_s"], row["read_after_s"])),
            _rate(store, row["arithmetic_s"]),
            f"{row['read_percent']:.0f}%",
            f"{row['ceiling_percent']:.0f}% ({row['bound_by']})",
            f"{row['total_s']:.0f} s, {len(row['epoch_s'])} epochs",
            _memory(row["peak_anonymous_bytes"]),
            _memory(row["peak_resident_bytes"]),
        )
        for row in record["rows"]
    ]
    return f"{size}{cold} {where}\n\n" + markdown_table(HEADINGS, rows)


def _rate(store: dict, seconds: float) -> str:
    return f"{store['num_bytes'] / seconds / 1e9:.2f} GB/s"


def _memory(num_bytes: int | None) -> str:
    return NONE if num_bytes is None else f"{num_bytes / 2**30:.2f} GiB"
