"""`score_candidates` against eager and compiled PyTorch, all forms taking turns.

    python bench/score.py [--out DIR] [--quick] [--floor 4]

On a GPU: four models' shapes, 9 sizes each. On a CPU: two shapes in three dtypes, beside a plain
sum over the same bytes, the ceiling. Every answer is checked against float64 before it is timed.
The last line is JSON; the exit code is 1 after a wrong answer, or with a ratio below the floor.
"""

import argparse
import sys

import torch

from measuring.oracle import (
    SHAPES,
    ModelShape,
    check_accuracy,
    exact_projection,
    left_padding,
    random_head,
    relative_error,
    scores_of_projection,
)
from measuring.records import add_run_arguments
from measuring.script import Script
from measuring.timing import peak_memory_bytes, time_device, time_host_us
from peers.score_forms import Case, CompileBudget, compiled_forms, eager_forms
from peers.score_measure import Conditions, describe_row, measure, rates
from rendering.score_table import print_table
from swift_kernels import score_candidates

NUM_CANDIDATES, NUM_TOKENS = (4, 16, 64), (128, 512, 1024)
HEADLINE = Case(SHAPES["Llama-3.1-8B"], 16, 512, torch.bfloat16)
CPU_SHAPES = (SHAPES["Qwen2.5-0.5B"], ModelShape("Llama-3.1-8B, 9 of 33 layers", 9, 4096))
CPU_HEADLINE = Case(CPU_SHAPES[0], 8, 256, torch.bfloat16)
QUICK = Case(ModelShape("tiny", 3, 64), 3, 16, torch.bfloat16)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
HOST_CASES = {  # too small for the device to be the slower one
    "2 layers of 64": Case(ModelShape("", 2, 64), 4, 8, torch.bfloat16),
    "33 layers of 4096": Case(SHAPES["Llama-3.1-8B"], 4, 8, torch.bfloat16),
}
HOST_CALLS = 20
COMPILE_SECONDS = 80.0
ROUNDS = {"cuda": 25, "cpu": 11}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_arguments(parser)
    parser.add_argument("--floor", type=float, default=0.0, help="lowest ratio to the eager head")
    parser.add_argument("--compile", action="store_true", help="compiled peers on a CPU too")
    arguments = parser.parse_args()
    script = Script("score", arguments)
    device = script.device
    is_gpu = device.type == "cuda"
    rounds = 3 if arguments.quick else ROUNDS[device.type]
    conditions = Conditions(device, script.measure_bandwidth(), rounds)
    budget = CompileBudget(COMPILE_SECONDS) if is_gpu or arguments.compile else None
    script.record["rounds"] = rounds
    script.record["left_padded"] = script.record["token_scores"] = None
    headline = QUICK if arguments.quick else HEADLINE if is_gpu else CPU_HEADLINE
    with torch.no_grad():
        for cases, dynamic in groups(is_gpu, arguments.quick):
            run_group(cases, dynamic, conditions, budget, script)
            if headline in cases:
                measure_extras(headline, conditions, script, has_host=is_gpu or arguments.quick)
    print_table(script.record)
    exit_code = script.finish()
    sys.exit(exit_code or verdict(script.record, arguments.floor))


def groups(is_gpu: bool, quick: bool) -> list[tuple[list[Case], bool]]:
    """Lists of inputs that share a head and a compilation, and whether that is for any size.

    The headline is compiled for its own size, the rest once per shape for all sizes.
    """
    if quick:
        sizes = ((2, 16), (3, 16))
        return [([Case(QUICK.shape, *size, dtype) for size in sizes], True) for dtype in DTYPES]
    if not is_gpu:
        return [([Case(shape, 8, 256, dtype)], False) for shape in CPU_SHAPES for dtype in DTYPES]
    grids = {
        name: [Case(shape, n, t, torch.bfloat16) for n in NUM_CANDIDATES for t in NUM_TOKENS]
        for name, shape in SHAPES.items()
    }
    first = grids.pop(HEADLINE.shape.name)
    first.remove(HEADLINE)
    return [
        ([HEADLINE], False),
        (first, True),
        *((grid, True) for grid in grids.values()),
        *(([HEADLINE._replace(dtype=dtype)], False) for dtype in (torch.float16, torch.float32)),
    ]


def run_group(
    cases: list[Case],
    dynamic: bool,
    conditions: Conditions,
    budget: CompileBudget | None,
    script: Script,
) -> None:
    """Measure the inputs one after the other; what fails is kept for the end."""
    shape, dtype = cases[0].shape, cases[0].dtype
    head = frozen_head(shape, conditions.device)
    forms = eager_forms(head, dtype)
    if budget is not None:
        forms |= compiled_forms(head, budget, dynamic=dynamic)
    compiled_for = None if budget is None else "any size" if dynamic else "this size"

    def run(case: Case) -> dict:
        if conditions.device.type == "cuda":
            torch.cuda.empty_cache()  # the largest inputs need what the last ones left in pieces
        return measure(case, head, forms, conditions, script.failures)

    for case in cases:
        row = script.attempt(case.label(), lambda case=case: run(case))
        if row is not None:
            script.add(row | {"compiled_for": compiled_for}, describe_row(row))


def measure_extras(case: Case, conditions: Conditions, script: Script, *, has_host: bool) -> None:
    """The headline with padding, with the scores of tokens, and the host's time of small inputs."""
    record, device = script.record, conditions.device
    record["left_padded"] = script.attempt(
        "left-padded", lambda: measure_left_padded(case, conditions, script.failures)
    )
    record["token_scores"] = script.attempt(
        "return_token_scores", lambda: measure_token_scores(case, conditions)
    )
    if has_host:  # on a CPU the host is the device
        times = {
            name: script.attempt(f"host, {name}", lambda small=small: host_us(small, device))
            for name, small in HOST_CASES.items()
        }
        record["host_us"] = {name: time for name, time in times.items() if time is not None}
    script.save()


def measure_left_padded(case: Case, conditions: Conditions, failures: list[str]) -> dict:
    """Half of the tokens are padding: what is not scored need not be read."""
    head = frozen_head(case.shape, conditions.device)
    mask = left_padding(case.num_candidates, case.num_tokens, conditions.device)
    row = measure(case, head, eager_forms(head, case.dtype), conditions, failures, mask)
    print("left-padded: " + describe_row(row), flush=True)
    return row


def measure_token_scores(case: Case, conditions: Conditions) -> dict:
    """The same input with the reward and the gate of every token returned as well.

    Raises:
        WrongAnswer: the scores, the rewards or the gates are off.
    """
    device = conditions.device
    head = frozen_head(case.shape, device)
    layers = case.layers(device)

    def run():
        return score_candidates(layers, head, return_token_scores=True)

    projected = exact_projection(layers, head)  # [N, T, 2]
    rewards, gates = projected[..., 0], projected[..., 1].sigmoid()
    answer, exact = run(), (scores_of_projection(projected), rewards, gates)
    for name, actual, expected in zip(("scores", "rewards", "gates"), answer, exact, strict=True):
        check_accuracy(f"{name} of tokens", relative_error(actual, expected), None)
    timing = time_device(run, device)
    return {
        **case.describe(),
        **timing._asdict(),
        **rates(case.num_bytes, timing.p50_ms, conditions.bandwidth),
        "peak_extra_bytes": peak_memory_bytes(run, device),
    }


def host_us(case: Case, device: torch.device) -> float:
    """Microseconds that the host spends in one `score_candidates`."""
    head = frozen_head(case.shape, device)
    layers = case.layers(device)
    return round(time_host_us(lambda: score_candidates(layers, head), device, HOST_CALLS), 2)


def frozen_head(shape: ModelShape, device: torch.device):
    return random_head(shape.num_layers, shape.hidden_size, device).requires_grad_(False)


def verdict(record: dict, floor: float) -> int | str:
    """The exit code, or why it is 1: a ratio below the floor."""
    lowest = min((row["speedup"].get("eager", floor) for row in record["rows"]), default=0.0)
    if lowest < floor:
        return f"{lowest:.2f}x the eager form, expected at least {floor}x"
    return 0


if __name__ == "__main__":
    main()
