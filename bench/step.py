"""One `RunningScore.update`: what scoring costs per decoding step.

    python bench/step.py [--out DIR] [--quick]

On the device: a CUDA graph of many updates, replayed, so that no launch is waited for; where
capture fails, many updates between two events, which a slow host lengthens. The states are then in
the L2 cache, as they are when the model has just written them. On the host: a loop that does not
wait for the device. The answer is checked against float64 first. The last line is JSON.
"""

import argparse
import functools
import itertools
import sys
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from measuring.failures import why
from measuring.oracle import SHAPES, ModelShape, random_head, random_layers
from measuring.records import add_run_arguments
from measuring.script import Script
from measuring.timing import time_device, time_host_us
from peers.eager_head import EagerHead
from peers.running_forms import EagerRunning, check_growth, check_running
from swift_kernels import RunningScore

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
    script = Script("step", arguments, updates_per_graph=UPDATES)
    device = script.device
    shapes = tuple(SHAPES.values()) if device.type == "cuda" else CPU_SHAPES
    counts = NUM_CANDIDATES[device.type]
    if arguments.quick:
        shapes, counts = QUICK_SHAPES, counts[:2]
    bandwidth = script.measure_bandwidth()
    with torch.no_grad():
        for shape, num_candidates in itertools.product(shapes, counts):
            row = script.attempt(
                f"{shape.name}, N={num_candidates}",
                functools.partial(measure, shape, num_candidates, DTYPES[device.type], device),
            )
            if row is not None:
                row["floor_us"] = round(row["bytes"] / bandwidth.ceiling_gb_per_s / 1e3, 3)
                script.add(row, describe(row))
    print_table(script.rows)
    sys.exit(script.finish())


def measure(
    shape: ModelShape, num_candidates: int, dtype: torch.dtype, device: torch.device
) -> dict:
    """Check, then time one update on the device and on the host, ours and eager; a row.

    Raises:
        WrongAnswer: the running score is not the score, or what is timed does not add to it.
    """
    head = random_head(shape.num_layers, shape.hidden_size, device).requires_grad_(False)
    eager = EagerHead(head).requires_grad_(False)
    size = (num_candidates, CHECKED_TOKENS, shape.hidden_size)
    layers = random_layers(shape.num_layers, size, dtype, device)
    check_running(layers, head, eager)
    active = torch.ones(num_candidates, dtype=torch.bool, device=device)
    step_layers = [layer[:, :1].contiguous() for layer in layers]
    forms = {
        "swift_kernels": RunningScore(head, num_candidates, device),
        "eager": EagerRunning(eager, num_candidates, device),
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
    for name, running in forms.items():

        def update(running=running) -> None:
            running.update(step_layers, active)

        method, run = many_updates(update, device)
        check_growth(name, running, run, UPDATES, step_layers, head)
        row["forms"][name] = {
            **time_update_us(run, device),
            "method": method,
            "host_us": round(time_host_us(update, device, UPDATES), 2),
        }
    return row


def many_updates(
    update: Callable[[], None], device: torch.device
) -> tuple[str, Callable[[], None]]:
    """How `UPDATES` updates are timed on the device, and what runs them."""

    def many() -> None:
        for _ in range(UPDATES):
            update()

    if device.type != "cuda":
        return "loop", many
    graph = capture(many)
    return ("events", many) if graph is None else ("graph", graph.replay)


def time_update_us(run: Callable[[], None], device: torch.device) -> dict[str, float]:
    """Microseconds of one update on the device."""
    timing = time_device(run, device, budget_ms=BUDGET_MS)
    names = ("p20_us", "p50_us", "p80_us")
    microseconds = [round(1e3 * value / UPDATES, 3) for value in timing]
    return dict(zip(names, microseconds, strict=True))


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
        print(f"no CUDA graph: {why(error)}", flush=True)
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
