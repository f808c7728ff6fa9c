"""The sentences on graders and on the time of an evaluation, from their records."""

from typing import Any

from rendering.table_texts import machine_line, markdown_table

NAMES = {"gsm8k": "GSM8K, test", "math500": "MATH-500"}


def render_graders(record: dict[str, Any]) -> str:
    """How often the math grader agrees with the data sets' own solutions."""
    rows = []
    for key, name in NAMES.items():
        found = record[key]
        equal = ", ".join(found["others_equal"]) or "none"
        rows.append(
            (
                name,
                f"{found['gold_right']:,} of {found['rows']:,}",
                f"{found['unboxed_right']:,}",
                f"{found['others_wrong']:,} of {found['others']:,}",
                f"{found['others_same']:,}",
                equal,
                f"{found['grade_s']:.1f} s",
            )
        )
    headings = (
        "solutions of",
        "graded right",
        "without the box",
        "another row's graded wrong",
        "same reference",
        "equal, differently written",
        "time",
    )
    return f"{machine_line(record)}\n\n{markdown_table(headings, rows)}"


def render_speed(record: dict[str, Any]) -> str:
    """What `swift-bon evaluate` takes."""
    return (
        f"{record['num_prompts']} questions x {record['num_candidates']} candidates of "
        f"{record['num_tokens']} tokens ({record['file_bytes'] / 1e6:.0f} MB), "
        f"{record['num_methods']} methods, {record['num_draws']:,} draws: "
        f"{record['seconds']:.1f} s and {record['peak_resident_bytes'] / 2**30:.2f} GiB, with "
        f"a page of {record['page_bytes'] / 1e6:.1f} MB. {machine_line(record)}"
    )
