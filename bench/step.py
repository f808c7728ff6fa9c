"""One `RunningScore.update`: what scoring costs per decoding step.

    python bench/step.py [--out DIR] [--quick]

On the device: a CUDA graph of many updates, replayed, so that no launch is waited for; where
capture fails, many updates between two events, which a slow host lengthens. The states are then in
the L2 cache, as they are when the model has just written them. On the host: a loop that does not
wait for the device. The answer is checked against float64 first. The last line is JSON.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from eager_head import EagerHead
from machine import default_device, machine
from oracle import (
    WrongAnswer,
    check_accuracy,
    exact_scores,
    random_head,
    random_layers,
    relative_error,
)
from records import add_run_arguments, print_record, save_record
from shapes import SHAPES, ModelShape
from swift_kernels import RewardHead, RunningScore
from timing import measured_bandwidth, time_device, time_host_us

NUM_CANDIDATES = {"cuda": (1, 2, 4, 16, 64, 256), "cpu": (1, 16, 64)}
CPU_SHAPES = (SHAPES["Qwen2.5-0.5B"],)
QUICK_SHAPES = (ModelShape("tiny", 3, 64),)
DTYPES = {"cuda": torch.bfloat16, "cpu": torch.float32}
UPDATES = 20  # in one graph
CHECKED_TOKENS = 3
BUDGET_MS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_arguments(parser)
    arguments = parser.parse_args()
    device = default_device()
    shapes = tuple(SHAPES.values()) if device.type == "cuda" else CPU_SHAPES
    counts = NUM_CANDIDATES[device.type]
    if arguments.quick:
        shapes, counts = QUICK_SHAPES, counts[:2]
    bandwidth = measured_bandwidth(device)
    print(f"ceiling: {bandwidth.read_gb_per_s:.1f} GB/s read", flush=True)
    rows, failures = [], []
    with torch.no_grad():
        for shape in shapes:
            for num_candidates in counts:
                try:
                    row = measure(shape, num_candidates, DTYPES[device.type], device)
                except WrongAnswer as error:
                    failures.append(f"{shape.name}, N={num_candidates}: {error}")
                    print(f"WRONG: {failures[-1]}", flush=True)
                    continue
                row["floor_us"] = round(row["bytes"] / bandwidth.read_gb_per_s / 1e3, 3)
                rows.append(row)
                print(describe(row), flush=True)
    record = {"benchmark": "step", "machine": machine(), "bandwidth": bandwidth._asdict()}
    record |= {"updates_per_graph": UPDATES, "rows": rows, "failures": failures}
    save_record("step", record, arguments)
    print_table(rows)
    print_record(record)
    sys.exit(f"{len(failures)} wrong answers" if failures else 0)


def measure(
    shape: ModelShape, num_candidates: int, dtype: torch.dtype, device: torch.device
) -> dict:
    """Check, then time one update on the device and on the host, ours and eager; a row.

    Raises:
        WrongAnswer: the running score is not the score.
    """
    head = random_head(shape.num_layers, shape.hidden_size, device).requires_grad_(False)
    eager = EagerHead(head).requires_grad_(False)
    size = (num_candidates, CHECKED_TOKENS, shape.hidden_size)
    layers = random_layers(shape.num_layers, size, dtype, device)
    check_running(layers, head, eager)
    active = torch.ones(num_candidates, dtype=torch.bool, device=device)
    step_layers = [layer[:, :1].contiguous() for layer in layers]
    running = RunningScore(head, num_candidates, device)
    eager_running = EagerRunning(eager, num_candidates, device)
    forms = {
        "swift_kernels": lambda: running.update(step_layers, active),
        "eager": lambda: eager_running.update(step_layers, active),
    }
    row = {
        "shape": shape.name,
        "num_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "num_candidates": num_candidates,
        "dtype": str(dtype).removeprefix("torch."),
        "bytes": sum(layer.nbytes for layer in step_layers),
        "forms": {},
    }
    for name, update in forms.items():
        device_us, method = time_update_us(update, device)
        row["forms"][name] = {
            **device_us,
            "method": method,
            "host_us": round(time_host_us(update, device, UPDATES), 2),
        }
    return row


class EagerRunning:
    """The paper's form for one token, added to the two running sums."""

    def __init__(self, eager: EagerHead, num_candidates: int, device: torch.device):
        self.linear = eager.linear
        self.weighted_sum = torch.zeros(num_candidates, device=device)  # [N]
        self.gate_sum = torch.zeros(num_candidates, device=device)  # [N]

    def update(self, step_hidden_states: list[Tensor], active: Tensor) -> None:
        states = torch.cat([layer.float() for layer in step_hidden_states], dim=-1)  # [N, 1, L*H]
        rewards, gates = self.linear(states)[:, 0].unbind(-1)  # [N]
        gates = gates.sigmoid() * active
        self.weighted_sum += gates * rewards
        self.gate_sum += gates

    def scores(self) -> Tensor:
        return self.weighted_sum / self.gate_sum.clamp(min=1e-8)


def check_running(layers: list[Tensor], head: RewardHead, eager: EagerHead) -> None:
    """A few updates, the last row inactive in the first, equal the float64 score of the whole."""
    num_candidates, num_tokens, _ = layers[0].shape
    mask = torch.ones(num_candidates, num_tokens, dtype=torch.bool, device=layers[0].device)
    mask[-1, 0] = False
    exact = exact_scores(layers, head, mask)
    errors = []
    for running in (
        EagerRunning(eager, num_candidates, mask.device),
        RunningScore(head, num_candidates, mask.device),
    ):
        for token in range(num_tokens):
            step = [layer[:, token : token + 1] for layer in layers]
            running.update(step, mask[:, token])
        errors.append(relative_error(running.scores(), exact))
    check_accuracy("eager", errors[0], None)
    check_accuracy("RunningScore", errors[1], errors[0])


def time_update_us(
    update: Callable[[], None], device: torch.device
) -> tuple[dict[str, float], str]:
    """Microseconds of one update on the device, and how they were measured."""

    def many() -> None:
        for _ in range(UPDATES):
            update()

    method, run = "loop", many
    if device.type == "cuda":
        graph = capture(many)
        method, run = ("events", many) if graph is None else ("graph", graph.replay)
    timing = time_device(run, device, budget_ms=BUDGET_MS)
    names = ("p20_us", "p50_us", "p80_us")
    microseconds = [round(1e3 * value / UPDATES, 3) for value in timing]
    return dict(zip(names, microseconds, strict=True)), method


def capture(function: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
    """A CUDA graph of the function; None where it does what a graph cannot hold."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()  # first calls compile and allocate
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            function()
    except RuntimeError as error:
        print(f"no CUDA graph: {str(error).splitlines()[0]}", flush=True)
        return None
    return graph


def describe(row: dict) -> str:
    ours, eager = row["forms"]["swift_kernels"], row["forms"]["eager"]
    return (
        f"{row['shape']}, N={row['num_candidates']}: {ours['p50_us']:.2f} us on the device "
        f"({ours['method']}; floor {row['floor_us']:.2f}), {ours['host_us']:.1f} us on the host; "
        f"eager {eager['p50_us']:.2f} and {eager['host_us']:.1f}"
    )


def print_table(rows: list[dict]) -> None:
    table = Table(title="microseconds of one update")
    for heading in ("shape", "N", "form", "p20", "p50", "p80", "host", "how"):
        table.add_column(heading, justify="left" if heading in ("shape", "form") else "right")
    for row in rows:
        for name, form in row["forms"].items():
            values = (f"{form[key]:.2f}" for key in ("p20_us", "p50_us", "p80_us", "host_us"))
            label = (row["shape"], str(row["num_candidates"])) if name != "eager" else ("", "")
            table.add_row(*label, name, *values, form["method"])
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
