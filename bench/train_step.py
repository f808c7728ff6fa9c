"""One training step of the head, forward and backward, against autograd on eager PyTorch.

    python bench/train_step.py [--out DIR] [--quick]

The loss is a weighted sum of the scores; only the head has gradients. Every gradient is checked
against float64 before it is timed. The last line is JSON; the exit code is 1 after a wrong one.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from measuring.oracle import (
    SHAPES,
    ModelShape,
    exact_projection,
    random_head,
    relative_error,
    scores_of_projection,
)
from measuring.records import add_run_arguments
from measuring.script import Script
from peers.eager_head import EagerHead, PerLayerHead
from peers.score_forms import OURS, Case
from peers.score_measure import Conditions, check, time_forms
from swift_kernels import RewardHead, score_candidates

CASES = {
    "cuda": (
        Case(SHAPES["Llama-3.1-8B"], 16, 512, torch.bfloat16),
        Case(SHAPES["Qwen2.5-0.5B"], 64, 512, torch.bfloat16),
    ),
    "cpu": (
        Case(SHAPES["Qwen2.5-0.5B"], 8, 128, torch.float32),
        Case(SHAPES["Qwen2.5-0.5B"], 8, 128, torch.bfloat16),
    ),
}
QUICK = Case(ModelShape("tiny", 3, 64), 3, 16, torch.bfloat16)
ROUNDS = {"cuda": 25, "cpu": 9}
Step = Callable[[], list[Tensor]]  # the gradients of weight [2, L, H] and bias [2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_arguments(parser)
    arguments = parser.parse_args()
    script = Script("train_step", arguments)
    device = script.device
    rounds = 3 if arguments.quick else ROUNDS[device.type]
    conditions = Conditions(device, script.measure_bandwidth(), rounds)
    for case in (QUICK,) if arguments.quick else CASES[device.type]:
        row = script.attempt(
            case.label(), lambda case=case: measure(case, conditions, script.failures)
        )
        if row is not None:
            script.add(row, describe(row))
    print_table(script.rows)
    sys.exit(script.finish())


def measure(case: Case, conditions: Conditions, failures: list[str]) -> dict:
    """Check the gradients of every form, then time them in turns; a row of the record.

    Raises:
        WrongAnswer: a gradient of ours is off; nothing was timed.
    """
    layers = case.layers(conditions.device)
    head = random_head(case.shape.num_layers, case.shape.hidden_size, conditions.device)
    # of the loss; their sum is not 0, nor then is the gradient of the bias
    factors = torch.linspace(-1, 2, case.num_candidates, device=conditions.device)  # [N]
    steps = steps_of(head, layers, factors)
    exact = exact_gradients(head, layers, factors)

    def error_of(gradients: list[Tensor]) -> float:
        pairs = zip(gradients, exact, strict=True)
        return max(relative_error(*pair, least_scale=1e-30) for pair in pairs)

    errors, left_out = check(steps, error_of, failures, case.label())
    # GB/s as if the states were read once
    timed = time_forms(steps, errors, left_out, case.num_bytes, conditions)
    return {**case.describe(), "left_out": left_out, **timed}


def steps_of(head: RewardHead, layers: list[Tensor], factors: Tensor) -> dict[str, Step]:
    """The forms: each runs forward and backward and returns its gradients in one layout."""
    eager, per_layer = EagerHead(head), PerLayerHead(head)
    shape = (2, head.num_layers, head.hidden_size)

    def ours() -> list[Tensor]:
        gradients = step(lambda: score_candidates(layers, head), head.parameters())
        by_name = dict(zip(dict(head.named_parameters()), gradients, strict=True))
        return [
            torch.stack([by_name["reward_weight"], by_name["gate_weight"]]),
            torch.stack([by_name["reward_bias"], by_name["gate_bias"]]),
        ]

    def step(forward, parameters) -> tuple[Tensor, ...]:
        return torch.autograd.grad((forward() * factors).sum(), tuple(parameters))

    def eager_step() -> list[Tensor]:
        weight, bias = step(lambda: eager(layers), eager.parameters())
        return [weight.view(shape), bias]

    def per_layer_step() -> list[Tensor]:
        weight, bias = step(lambda: per_layer(layers), per_layer.parameters())
        return [weight.transpose(0, 1), bias]

    return {OURS: ours, "eager": eager_step, "per_layer": per_layer_step}


@torch.no_grad()
def exact_gradients(head: RewardHead, layers: list[Tensor], factors: Tensor) -> list[Tensor]:
    """float64 gradients of the weight `[2, L, H]` and the bias `[2]`, one layer at a time."""
    projected = exact_projection(layers, head)  # [N, T, 2]
    with torch.enable_grad():
        projected.requires_grad_(True)
        loss = (scores_of_projection(projected) * factors).sum()
    (grad,) = torch.autograd.grad(loss, projected)
    grad = grad.flatten(0, 1)  # [N * T, 2]
    weight = torch.stack([grad.T @ layer.double().flatten(0, 1) for layer in layers], dim=1)
    return [weight, grad.sum(0)]


def describe(row: dict) -> str:
    """One line, while the others are still running."""
    ratios = ", ".join(f"{ratio:.2f}x {name}" for name, ratio in row["speedup"].items())
    size = f"{row['num_candidates']} x {row['num_tokens']}"
    return (
        f"{row['shape']}, {row['dtype']}, {size}: {row['forms'][OURS]['p50_ms']:.3f} ms; {ratios}"
    )


def print_table(rows: list[dict]) -> None:
    table = Table(title="forward and backward of the head")
    for heading in ("input", "form", "p50 ms", "GB/s", "extra MB", "ours faster"):
        table.add_column(heading, justify="left" if heading in ("input", "form") else "right")
    for row in rows:
        size = f"{row['num_candidates']}x{row['num_tokens']}"
        for name, form in row["forms"].items():
            label = f"{row['shape']}, {row['dtype']}, {size}" if name == OURS else ""
            ratio = row["speedup"].get(name)
            if form is None:
                table.add_row(label, name, "-", "-", "-", "")
                continue
            peak = form["peak_extra_bytes"]
            table.add_row(
                label,
                name,
                f"{form['p50_ms']:.3f}",
                f"{form['gb_per_s']:.1f}",
                "" if peak is None else f"{peak / 1e6:.1f}",
                "" if ratio is None else f"{ratio:.2f}x",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
