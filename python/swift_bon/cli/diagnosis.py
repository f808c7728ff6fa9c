"""The command that proves a model: doctor."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swift_bon import cli, diagnosis, models
from swift_bon.cli.options import Json, MaxNewTokens, Progress, Samples, Seed
from swift_bon.cli.terminal import read_prompts, readable_errors
from swift_bon.diagnosis.findings import Check, DoctorReport

DTYPES = ("float32", "bfloat16", "float16")
STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim"}


@readable_errors()
def doctor(
    model: Annotated[
        str, typer.Argument(help="Language model: the embedded one's name, a hub id or a path.")
    ],
    head: Annotated[
        str | None,
        typer.Option(
            help="Head that is used with it: a folder, a hub id or the name of one that ships; a "
            "random one of the model's shape if left out."
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(help="Adapter on the model, which peft loads; none if left out."),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="File with one prompt a line; three of unequal length if left out."),
    ] = None,
    num_return_sequences: Samples = 4,
    max_new_tokens: MaxNewTokens = 16,
    seed: Seed = 0,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Of the weights: float32, bfloat16 or float16; the checkpoint's if left out."
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Where the model runs; the GPU if left out, where there is one."),
    ] = None,
    show_progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Prove on a model that what is written and scored is right; if not, the exit code is 1."""
    texts = None if prompts is None else read_prompts([], prompts, "--prompts")
    loaded_head = None if head is None else models.load_head(head)
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
    loaded_model, tokenizer = models.load_model(model, dtype=dtype, device=device)
    report = diagnosis.doctor(
        loaded_model if adapter is None else models.adapters.load_adapter(loaded_model, adapter),
        tokenizer,
        loaded_head,
        prompts=texts,
        num_return_sequences=num_return_sequences,
        max_new_tokens=max_new_tokens,
        seed=seed,
        show_progress=show_progress,
    )
    if as_json:
        cli.output.print_json(report.to_json())
    else:
        print_report(report, Console())
    if not report.passed:
        raise typer.Exit(1)


def print_report(report: DoctorReport, console: Console) -> None:
    """A table of the checks, and below it what to do for each red one."""
    table = Table(title=Text(f"{report.model}, {report.dtype}"), title_justify="left")
    for heading in ("check", "", "measured", "allowed", "what was compared"):
        justify: Any = "right" if heading in ("measured", "allowed") else "left"
        table.add_column(heading, justify=justify, no_wrap=justify == "right")
    for check in report.checks:
        table.add_row(
            check.name,
            Text(check.status, STYLES[check.status]),
            _number(check.measured),
            _number(check.allowed),
            Text(check.words),
        )
    console.print(table)
    for line in _advice(report.checks):
        console.print(line, markup=False, highlight=False)


def _advice(checks: Iterable[Check]) -> list[str]:
    lines = [f"{check.name}: {check.advice}" for check in checks if check.status == "failed"]
    return lines or ["All that was compared is right."]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
