"""FLOPs and time per candidate: seven reward models against SWIFT.

    python bench/reward_models.py [--flops-only] [--quick] [--out DIR]
                                  [--prompt-tokens 128] [--response-tokens 512]

FLOPs are counted on the meta device, on any machine; times are taken where a GPU is. The weights
are random: neither FLOPs nor latency depend on their values. The last line is JSON.
"""

import argparse
import sys
from pathlib import Path

import torch
from rich.console import Console

from measuring.machine import default_device, machine
from measuring.records import add_out_argument, print_record, read_record, save_record
from peers.baselines import SCORE_READ
from peers.reward_flops import all_flops
from peers.reward_latency import Workload, all_latencies
from rendering.reward_tables import (
    BATCHES,
    WAYS,
    has_both,
    of_batch,
    ratio_ranges,
    rich_table,
    sentences,
    tables,
)

# How many times cheaper than the reward models arXiv 2505.12225 reports its head alone. The clock
# of its published code starts after the second forward and the concatenation of the states.
PAPER = {
    "flops": [42_914, 89_988],
    "time": [113, 639],
}
BUDGET_MS = 1000.0


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flops-only", action="store_true", help="no times")
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions, and no record without --out"
    )
    parser.add_argument("--small", action="store_true", help="tiny models: a smoke test")
    parser.add_argument("--device", help="take the times there; without it on a GPU or not at all")
    parser.add_argument("--prompt-tokens", type=_count, default=128)
    parser.add_argument("--response-tokens", type=_count, default=512)
    add_out_argument(parser)
    options = parser.parse_args(arguments)
    torch.set_float32_matmul_precision("highest")
    device = torch.device(options.device) if options.device else default_device()
    has_latency = not options.flops_only and (device.type == "cuda" or options.device is not None)
    # a smoke test must not replace a measurement
    name = "reward_models_small" if options.small else "reward_models"
    tokens = options.prompt_tokens, options.response_tokens
    failures: list[str] = []

    def save(latency: dict | None, *, is_complete: bool = False) -> dict:
        record = make_record(*tokens, flops, latency)
        record |= {"complete": is_complete, "failures": failures}
        save_record(name, record, options)
        return record

    flops = all_flops(*tokens, small=options.small)
    latency = latency_on_disk(name, options.out, *tokens)
    if has_latency:
        save(None)
        budget_ms = BUDGET_MS / 5 if options.quick else BUDGET_MS
        workload = Workload(device, *tokens, BATCHES, budget_ms, options.small)
        header = {"machine": machine()}
        latency = header | all_latencies(workload, failures, lambda rows: save(header | rows))
    record = save(latency, is_complete=True)
    console = Console()
    for title, rows in tables(record):
        console.print(rich_table(title, rows))
    console.print(sentences(record), highlight=False)
    print_record(record)
    if failures:
        sys.exit(f"{len(failures)} failures")
    return record


def latency_on_disk(
    name: str, folder: Path | None, prompt_tokens: int, response_tokens: int
) -> dict | None:
    """The times that this machine's record holds for the same lengths: a count keeps them."""
    record = read_record(name, folder)
    if record is None or record["latency"] is None:
        return None
    lengths = record["prompt_tokens"], record["response_tokens"]
    return record["latency"] if lengths == (prompt_tokens, response_tokens) else None


def make_record(
    prompt_tokens: int, response_tokens: int, flops: dict, latency: dict | None
) -> dict:
    """Everything that was counted and timed, and the range of the ratios by each way."""
    flops = {**flops, "ratios": ratio_ranges(flops, "flops")}
    if latency is not None:
        latency = {
            **latency,
            "ratios": {
                str(batch): ratio_ranges(of_batch(latency, batch), "p50_ms")
                for batch in latency["batches"]
                if has_both(of_batch(latency, batch))
            },
        }
    return {
        "benchmark": "reward_models",
        "weights": "random",
        "prompt_tokens": prompt_tokens,
        "response_tokens": response_tokens,
        "ways": WAYS,
        "score_read": SCORE_READ,
        "paper": PAPER,
        "flops": flops,
        "latency": latency,
        "machine": machine(),
    }


def _count(text: str) -> int:
    count = int(text)
    if count < 2:  # with one response token nothing is fed, so nothing is scored
        raise argparse.ArgumentTypeError(f"{count} tokens, expected at least 2")
    return count


if __name__ == "__main__":
    main()
