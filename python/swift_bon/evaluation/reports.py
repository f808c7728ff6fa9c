"""The files of an evaluation: the record as JSON, accuracy over k as PNG, and the page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from swift_bon.candidates.files import header_path, path_beside
from swift_bon.evaluation.accuracy_plot import plot_accuracy
from swift_bon.evaluation.comparison import evaluate_file, read_prompts
from swift_bon.evaluation.page import render_page
from swift_bon.evaluation.record_types import Evaluation
from swift_bon.plotting import figure_class
from swift_bon.statistics.resampling import NUM_DRAWS
from swift_bon.storage import finite_json, write_whole

HELD_BYTES = 2**26  # of a file that is read once and kept for the page; larger ones twice


class ReportFiles(NamedTuple):
    """Where a report lies."""

    json: Path
    png: Path
    html: Path


def report(
    path: str | Path,
    output: str | Path | None = None,
    *,
    combine: Sequence[tuple[str, str] | str] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
    show_progress: bool = True,
) -> tuple[Evaluation, ReportFiles]:
    """`evaluate` a candidates file and write what can be looked at.

    Args:
        output: where the files go, without their endings; for `runs/a.jsonl` by default
            `runs/a.evaluation`.

    The other arguments are those of `evaluate`. Each file is replaced as a whole.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
        FileNotFoundError, ValueError: from `evaluate`, or a file would take the candidates' place.

    >>> import json, pathlib
    >>> from swift_bon import report
    >>> right = {"text": "5", "token_ids": [0], "correct": True, "scores": {"swift": 0.9}}
    >>> wrong = {"text": "6", "token_ids": [1], "correct": False, "scores": {"swift": 0.1}}
    >>> lines = [{"id": name, "prompt": "2 + 3?", "candidates": [right, wrong]} for name in "abc"]
    >>> _ = pathlib.Path("sums.jsonl").write_text("\\n".join(map(json.dumps, lines)))
    >>> record, files = report("sums.jsonl", show_progress=False)
    >>> record["swift"], files.html.name
    (1.0, 'sums.evaluation.html')
    """
    figure_class()  # a missing matplotlib is said before anything takes time
    path = Path(path)
    files = report_files(path, output)
    end = path.stat().st_size if path.is_file() else None  # a collect may be adding lines
    prompts = read_prompts(path, end, show_progress=show_progress)
    is_held = end is not None and end <= HELD_BYTES
    if is_held:
        prompts = list(prompts)
    record, picks = evaluate_file(path, prompts, combine, reference, num_draws, seed, show_progress)
    if not is_held:  # once more: their texts and tokens would not fit
        prompts = read_prompts(path, end, show_progress=show_progress)
    page = render_page(record, prompts, picks, title=_title(record, path))
    text = json.dumps(finite_json(record), ensure_ascii=False, allow_nan=False)
    write_whole(files.json, text + "\n")
    plot_accuracy(record, files.png)
    write_whole(files.html, page)
    return record, files


def report_files(path: Path, output: str | Path | None = None) -> ReportFiles:
    if output is None:
        output = path_beside(path, ".evaluation")
    files = ReportFiles(*(Path(f"{output}.{ending}") for ending in ReportFiles._fields))
    for file in files:
        if file.resolve() in (path.resolve(), header_path(path).resolve()):
            raise ValueError(
                f"output is {str(output)!r}, so that {file} would be written in place of the "
                "candidates; give another one"
            )
    return files


def _title(record: Evaluation, path: Path) -> str:
    header = record["candidates"]
    if header is None:
        return f"Best of {record['ks'][-1]}: {path.name}"
    return f"Best of {record['ks'][-1]}: {header['task']} ({header['split']}), {header['model']}"
