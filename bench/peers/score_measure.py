"""One input of the score's benchmark: every form checked, then all timed in turns."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from measuring.bandwidth import Bandwidth
from measuring.failures import RUN_ERRORS, WRONG_ANSWER, note_failure, why
from measuring.oracle import WrongAnswer, check_accuracy, exact_scores, relative_error
from measuring.timing import gb_per_s, peak_memory_bytes, percentiles, sample_in_turns
from peers.score_forms import OURS, Case, Form
from swift_kernels import RewardHead

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
    failures: list[str],
    mask: Tensor | None = None,
) -> dict:
    """Check every form against float64, then time them in turns; a row of the record.

    A peer that is wrong or cannot run, for want of memory or of a compiler, is None there, with
    the reason; a wrong one is also in `failures`.

    Raises:
        WrongAnswer: ours is off; nothing was timed.
    """
    layers = case.layers(conditions.device)
    exact = exact_scores(layers, head, mask)
    runs = {name: _bind(form, layers, mask) for name, form in forms.items()}
    errors, left_out = check(
        runs, lambda answer: relative_error(answer, exact), failures, case.label()
    )
    if conditions.device.type == "cpu" and mask is None:
        runs[PLAIN_SUM] = lambda: [layer.sum() for layer in layers]
    scored = 1.0 if mask is None else mask.float().mean().item()
    row = {**case.describe(), "scored_percent": round(100 * scored, 1), "left_out": left_out}
    return row | time_forms(runs, errors, left_out, scored * case.num_bytes, conditions)


def check(
    runs: dict[str, Callable[[], Any]],
    error_of: Callable[[Any], float],
    failures: list[str],
    label: str,
) -> tuple[dict[str, float], dict[str, str]]:
    """The error of each form against float64, and why a peer was left out.

    Raises:
        WrongAnswer: ours is off by more than twice what eager is.
    """
    errors: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for name, run in runs.items():
        try:
            error = float(f"{error_of(run()):.2e}")
            if name != OURS:
                check_accuracy(name, error, None)
        except WrongAnswer as wrong:
            note_failure(f"{label}: {wrong}", failures)
            left_out[name] = f"{WRONG_ANSWER}: {wrong}"
        except RUN_ERRORS as stopped:  # of memory, of the compiler, of a library
            if name == OURS:
                raise
            left_out[name] = why(stopped)
        else:
            errors[name] = error
    check_accuracy(OURS, errors[OURS], errors.get("eager"))
    return errors, left_out


def time_forms(
    runs: dict[str, Callable[[], Any]],
    errors: dict[str, float],
    left_out: dict[str, str],
    num_bytes: float,
    conditions: Conditions,
) -> dict[str, dict]:
    """The forms that were not left out, timed in turns: `forms` and `speedup` of a row."""
    kept = {name: run for name, run in runs.items() if name not in left_out}
    samples = sample_in_turns(kept, conditions.device, conditions.rounds)
    forms: dict[str, dict | None] = dict.fromkeys(runs)
    for name, values in samples.items():
        timing = percentiles(values)
        forms[name] = {
            **{key: round(value, 5) for key, value in timing._asdict().items()},
            **rates(num_bytes, timing.p50_ms, conditions.bandwidth),
            "peak_extra_bytes": peak_memory_bytes(kept[name], conditions.device),
            "error": errors.get(name),
        }
    speedup = {
        name: round(_median_ratio(values, samples[OURS]), 2)
        for name, values in samples.items()
        if name not in (OURS, PLAIN_SUM)
    }
    return {"forms": forms, "speedup": speedup}


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
