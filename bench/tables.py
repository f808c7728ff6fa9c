"""Write the tables of the documentation from the records of benchmarks: no number is typed.

    python bench/tables.py [--check]

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`, in docs/benchmarks.md,
docs/architectures.md or the README. With `--check` nothing is written, and the exit code is 1 if a
page differs from the records.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from measuring.records import RESULTS
from rendering import compare_table, table_texts
from rendering.architecture_table import render_architectures
from rendering.evaluation_table import render as evaluation
from rendering.fit_table import render as fit
from rendering.grader_table import render_graders, render_speed
from rendering.readme_tables import render_accuracies, render_costs
from rendering.reward_tables import render as reward_models

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs/benchmarks.md", ROOT / "docs/architectures.md")
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
NOT_MEASURED = "not measured"


class Source(NamedTuple):
    """Where a table comes from."""

    record: str  # the file's name without .json
    render: Callable[[dict], str]
    on_gpu: bool | None  # None: any machine; a GPU's record is preferred


TABLES = {
    "architectures": Source("architectures", render_architectures, None),
    "evaluation": Source("evaluate_basics_test", evaluation, None),
    "evaluation-speed": Source("evaluation_speed", render_speed, None),
    "graders": Source("check_graders", render_graders, None),
    "overhead-cpu": Source("generate_overhead", table_texts.overhead, False),
    "overhead-gpu": Source("generate_overhead", table_texts.overhead, True),
    "score-cpu": Source("score", table_texts.score_cpu, False),
    "score-gpu": Source("score", table_texts.score_gpu, True),
    "train-step-cpu": Source("train_step", table_texts.train_step, False),
    "train-step-gpu": Source("train_step", table_texts.train_step, True),
    "step-cpu": Source("step", table_texts.step, False),
    "step-gpu": Source("step", table_texts.step, True),
    "features": Source("compare_fits", compare_table.render_features, None),
    "losses": Source("compare_fits", compare_table.render_losses, None),
    "fit-cpu": Source("fit", fit, False),
    "fit-gpu": Source("fit", fit, True),
    "reward-models": Source("reward_models", reward_models, None),
    "readme-accuracies": Source("evaluate_basics_test", render_accuracies, None),
    "readme-costs": Source("reward_models", render_costs, None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it is stale")
    check = parser.parse_args().check
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        written = rewrite(text, RESULTS)
        if written != text:
            stale.append(page.name)
        if not check:
            page.write_text(written, encoding="utf-8")
    if check:
        sys.exit(f"stale: {', '.join(stale)}; run `make tables`" if stale else 0)


def rewrite(text: str, results: Path) -> str:
    """The text with each block made anew from the records in `results/*/`.

    Raises:
        ValueError: a block names no table, or a marker is unpaired.
    """

    def block(match: re.Match) -> str:
        start, name, end = match.groups()
        if name not in TABLES:
            raise ValueError(f"the block {name!r} is no table; there are {', '.join(TABLES)}")
        return f"{start}\n{table(TABLES[name], results).strip()}\n\n{end}"

    num_markers = len(re.findall(r"<!-- (?:table: |end of table)", text))
    rewritten, num_blocks = BLOCK.subn(block, text)
    if num_markers != 2 * num_blocks:
        raise ValueError(f"{num_markers} markers for {num_blocks} blocks: one has no partner")
    return rewritten


def table(source: Source, results: Path) -> str:
    """One table per machine that has the record, or "not measured"."""
    records = load_records(source.record, results)
    if source.on_gpu is not None:
        records = [record for record in records if table_texts.is_gpu(record) == source.on_gpu]
    else:
        records = records[:1]
    return "\n\n".join(render(source, record) for record in records) or NOT_MEASURED


def render(source: Source, record: dict) -> str:
    """The table of one record, and what is missing in it."""
    remarks = []
    if record.get("failures"):
        remarks.append(f"{len(record['failures'])} inputs or forms failed and were not timed.")
    if not record.get("complete", True):
        remarks.append("The run was stopped before its end: inputs are missing.")
    text = source.render(record) if record.get("rows", True) else NOT_MEASURED
    return f"{text.strip()}\n\n{' '.join(remarks)}".strip()


def load_records(name: str, results: Path, machine: str = "*") -> list[dict]:
    """The records of that name, those of GPUs first, then by folder."""
    paths = sorted(results.glob(f"{machine}/{name}.json"))
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return sorted(
        records, key=lambda record: "machine" in record and not table_texts.is_gpu(record)
    )


if __name__ == "__main__":
    main()
