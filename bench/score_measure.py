"""One input of the score's benchmark: every form checked, then all timed in turns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from oracle import check_accuracy, exact_scores, relative_error
from score_forms import OURS, Case, Form
from swift_kernels import RewardHead
from timing import Bandwidth, gb_per_s, peak_memory_bytes, percentiles, sample_in_turns

PLAIN_SUM = "plain_sum"  # reads the same bytes and does nothing else: a CPU's ceiling


class Conditions(NamedTuple):
    """What all inputs of a run share."""

    device: torch.device
    bandwidth: Bandwidth
    rounds: int


def measure(
    case: Case,
    head: RewardHead,
    forms: dict[str, Form],
    conditions: Conditions,
    mask: Tensor | None = None,
) -> dict:
    """Check every form against float64, then time them in turns; a row of the record.

    A peer that cannot run, for want of memory or of a compiler, is None there, with the reason.

    Raises:
        WrongAnswer: a form is off; nothing was timed.
    """
    layers = case.layers(conditions.device)
    runs = {name: _bind(form, layers, mask) for name, form in forms.items()}
    errors, left_out = check(runs, exact_scores(layers, head, mask))
    runs = {name: run for name, run in runs.items() if name in errors}
    if conditions.device.type == "cpu" and mask is None:
        runs[PLAIN_SUM] = lambda: [layer.sum() for layer in layers]
    samples = sample_in_turns(runs, conditions.device, conditions.rounds)
    scored = 1.0 if mask is None else mask.float().mean().item()
    row = {**case.describe(), "scored_percent": round(100 * scored, 1)}
    row["forms"] = dict.fromkeys([*forms, *samples])
    for name, values in samples.items():
        timing = percentiles(values)
        row["forms"][name] = {
            **{key: round(value, 5) for key, value in timing._asdict().items()},
            **rates(scored * case.num_bytes, timing.p50_ms, conditions.bandwidth),
            "peak_extra_bytes": peak_memory_bytes(runs[name], conditions.device),
            "error": errors.get(name),
        }
    row["speedup"] = {
        name: round(_median_ratio(values, samples[OURS]), 2)
        for name, values in samples.items()
        if name not in (OURS, PLAIN_SUM)
    }
    row["left_out"] = left_out
    return row


def check(
    runs: dict[str, Callable[[], Tensor]], exact: Tensor
) -> tuple[dict[str, float], dict[str, str]]:
    """The error of each form against float64, and why a peer was left out.

    Raises:
        WrongAnswer: a peer is off, or ours is off by more than twice what eager is.
    """
    errors: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for name, run in runs.items():
        try:
            answer = run()
        except RuntimeError as error:  # of memory, of the compiler, of a library
            if name == OURS:
                raise
            left_out[name] = why(error)
        else:
            errors[name] = float(f"{relative_error(answer, exact):.2e}")
    for name, error in errors.items():
        check_accuracy(name, error, errors.get("eager") if name == OURS else None)
    return errors, left_out


def why(error: RuntimeError) -> str:
    """The reason that a peer was left out, in one line."""
    first_line, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first_line[:200]}"


def rates(num_bytes: float, milliseconds: float, bandwidth: Bandwidth) -> dict[str, float]:
    """GB/s, and what it is of the measured bandwidth."""
    rate = gb_per_s(num_bytes, milliseconds)
    return {
        "gb_per_s": round(rate, 2),
        "copy_percent": round(100 * rate / bandwidth.copy_gb_per_s, 1),
        "read_percent": round(100 * rate / bandwidth.read_gb_per_s, 1),
    }


def describe_row(row: dict) -> str:
    """One line, while the others are still running."""
    ours = row["forms"][OURS]
    remarks = [f"{ratio:.2f}x {name}" for name, ratio in row["speedup"].items()]
    remarks += [f"no {name} ({reason})" for name, reason in row["left_out"].items()]
    size = f"{row['num_candidates']} x {row['num_tokens']}"
    return (
        f"{row['shape']}, {row['dtype']}, {size}: {row['megabytes']} MB, {ours['p50_ms']:.3f} ms, "
        f"{ours['gb_per_s']:.1f} GB/s = {ours['read_percent']:.0f}% of read; " + ", ".join(remarks)
    )


def _bind(form: Form, layers: Sequence[Tensor], mask: Tensor | None) -> Callable[[], Tensor]:
    return (lambda: form(layers)) if mask is None else (lambda: form(layers, mask))


def _median_ratio(values: Sequence[float], ours: Sequence[float]) -> float:
    return percentiles([value / own for value, own in zip(values, ours, strict=True)]).p50_ms
