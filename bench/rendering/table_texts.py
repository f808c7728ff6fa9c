"""The tables of docs/benchmarks.md: records of benchmarks as Markdown."""

from collections.abc import Sequence

OURS = "swift_kernels"
SHOWN_SIZES = {(4, 128), (16, 512), (64, 1024)}  # of the GPU's grid: the rest is in the JSON
SHOWN_CANDIDATES = {1, 16, 64, 256}  # of the steps
LARGE_TOKENS = 8192  # N * T from which the bandwidth is the limit
STEP_METHODS = {
    "graph": "a CUDA graph of many updates, replayed",
    "events": "many updates between two events, which a slow host lengthens",
    "loop": "many updates, one after the other",
}
NONE = "-"


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine_line(record: dict) -> str:
    """Where and when, in one sentence."""
    machine = record["machine"]
    software = [
        f"{name} {machine[name]}"
        for name in ("torch", "triton", "transformers", "python")
        if machine.get(name)
    ]
    commit = (machine["commit"] or "")[:9] + ("+dirty" if is_dirty(machine["commit"]) else "")
    where = machine["device"] if is_gpu(record) else f"{machine['device']}, {machine['processor']}"
    return ", ".join([where, *software, f"commit {commit or 'unknown'}", machine["date"]]) + "."


def is_gpu(record: dict) -> bool:
    return record.get("machine", {}).get("cuda") is not None  # an evaluation names no machine


def is_dirty(commit: str | None) -> bool:
    return commit is not None and commit.endswith("+dirty")


def overhead(record: dict) -> str:
    """What scoring adds to `generate`."""
    weights = " with random weights" if record["random_weights"] else ""
    rows = []
    for row in record["rows"]:
        extra = row["extra_peak_bytes"]
        rows.append(
            (
                f"{row['candidates']} x {row['tokens_per_candidate']}",
                f"{row['step_ms_without_scoring']:.2f} ms",
                f"{row['step_ms']:.2f} ms",
                f"{row['overhead_percent']:+.2f}%",
                f"{row['overhead_percent_p25']:+.2f}% to {row['overhead_percent_p75']:+.2f}%",
                f"{row['update_percent']:.2f}%",
                NONE if extra is None else f"{extra / 2**20:.2f} MiB",
            )
        )
    headings = (
        "N x tokens",
        "a step without",
        "with",
        "added",
        "quartiles",
        "in `update`",
        "memory",
    )
    subject = f"{record['model']}{weights}, {record['rows'][0]['pairs']} pairs."
    return f"{subject} {machine_line(record)}\n\n{markdown_table(headings, rows)}"


def score_cpu(record: dict) -> str:
    """GB/s of the forms, beside a plain sum over the same bytes."""
    rows = []
    for row in record["rows"]:
        rates = {
            name: NONE if form is None else f"{form['gb_per_s']:.1f} GB/s"
            for name, form in row["forms"].items()
        }
        names = ("plain_sum", "eager", "per_layer", OURS)
        rows.append(
            (
                row["shape"],
                row["dtype"],
                *(rates[name] for name in names),
                _times(row["speedup"].get("eager")),
                _times(row["speedup"].get("per_layer")),
            )
        )
    first = record["rows"][0]
    headings = ("shape", "dtype", "plain sum", "eager", "per layer", OURS)
    size = f"{first['num_candidates']} candidates x {first['num_tokens']} tokens"
    return f"{size}. {machine_line(record)}\n\n" + markdown_table(
        (*headings, "over eager", "over per layer"), rows
    )


def score_gpu(record: dict) -> str:
    """Time, bandwidth and ratios of a part of the grid."""
    bandwidth = record["bandwidth"]
    rows = [
        _score_row(row)
        for row in record["rows"]
        if (row["num_candidates"], row["num_tokens"]) in SHOWN_SIZES
    ]
    if record.get("left_padded") is not None:
        rows.append(_score_row(record["left_padded"], ", half of it padding"))
    headings = ("shape", "N x T", "dtype", "ms", "GB/s", "of read", "of copy")
    ratios = ("over eager", "over per layer", "over compiled", "extra memory")
    parts = [
        f"{machine_line(record)} Measured bandwidth: {bandwidth['read_gb_per_s']:,.0f} GB/s read "
        f"(by {bandwidth['fastest_read']}), {bandwidth['copy_gb_per_s']:,.0f} GB/s copied.",
        markdown_table((*headings, *ratios), rows),
    ]
    large = [
        row
        for row in record["rows"]
        if row["num_candidates"] * row["num_tokens"] >= LARGE_TOKENS and row["dtype"] == "bfloat16"
    ]
    if large:
        ceiling = max(bandwidth["read_gb_per_s"], bandwidth["copy_gb_per_s"])
        percents = [100 * row["forms"][OURS]["gb_per_s"] / ceiling for row in large]
        parts.append(
            f"Over the {len(large)} inputs in bfloat16 with {LARGE_TOKENS:,} tokens and more: "
            f"{min(percents):.0f}% to {max(percents):.0f}% of the larger of the two bandwidths."
        )
    if record.get("host_us"):
        host = ", ".join(f"{value:.0f} us ({name})" for name, value in record["host_us"].items())
        parts.append(f"Time of one call on the host: {host}.")
    return "\n\n".join(parts)


def _score_row(row: dict, remark: str = "") -> tuple[str, ...]:
    ours = row["forms"][OURS]
    peak = ours["peak_extra_bytes"]
    has_mark = row.get("compiled_for") == "this size" and _least(row["speedup"], "compiled")
    mark = " (own size)" if has_mark else ""
    return (
        row["shape"] + remark,
        f"{row['num_candidates']} x {row['num_tokens']}",
        row["dtype"],
        f"{ours['p50_ms']:.3f}",
        f"{ours['gb_per_s']:,.0f}",
        f"{ours['read_percent']:.0f}%",
        f"{ours['copy_percent']:.0f}%",
        _times(row["speedup"].get("eager")),
        _times(_least(row["speedup"], "per_layer")),
        _times(_least(row["speedup"], "compiled")) + mark,
        NONE if peak is None else f"{peak / 2**20:.1f} MiB",
    )


def train_step(record: dict) -> str:
    """Forward and backward of the head."""
    rows = []
    for row in record["rows"]:
        for name, form in row["forms"].items():
            size = f"{row['num_candidates']} x {row['num_tokens']}"
            label = (row["shape"], row["dtype"], size) if name == OURS else ("", "", "")
            peak = None if form is None else form["peak_extra_bytes"]
            rows.append(
                (
                    *label,
                    name,
                    _left_out(row, name) if form is None else f"{form['p50_ms']:.2f}",
                    NONE if peak is None else f"{peak / 2**20:,.0f} MiB",
                    _times(row["speedup"].get(name)),
                )
            )
    headings = ("shape", "dtype", "N x T", "form", "ms", "extra memory", "ours faster")
    return f"{machine_line(record)}\n\n" + markdown_table(headings, rows)


def step(record: dict) -> str:
    """Microseconds of one update, on the device and on the host."""
    rows = [
        (
            row["shape"],
            str(row["num_candidates"]),
            f"{row['floor_us']:.1f}",
            *(f"{row['forms'][OURS][key]:.1f}" for key in ("p50_us", "host_us")),
            *(f"{row['forms']['eager'][key]:.1f}" for key in ("p50_us", "host_us")),
        )
        for row in record["rows"]
        if row["num_candidates"] in SHOWN_CANDIDATES
    ]
    methods = {row["forms"][OURS]["method"] for row in record["rows"]}
    how = ", ".join(STEP_METHODS[method] for method in sorted(methods))
    headings = ("shape", "N", "floor", "device", "host", "eager device", "eager host")
    return f"{machine_line(record)} Device times: {how}.\n\n" + markdown_table(headings, rows)


def _least(speedups: dict[str, float], prefix: str) -> float | None:
    """Over the best of the peers whose names start alike."""
    ratios = [ratio for name, ratio in speedups.items() if name.startswith(prefix)]
    return min(ratios, default=None)


def _left_out(row: dict, name: str) -> str:
    reason = row["left_out"][name]
    return "out of memory" if reason.startswith("OutOfMemory") else reason.split(":")[0]


def _times(ratio: float | None) -> str:
    return NONE if ratio is None else f"{ratio:.1f}x" if ratio >= 2 else f"{ratio:.2f}x"
