"""FLOPs and time per candidate: seven reward models against SWIFT.

    python bench/reward_models.py [--flops-only] [--quick] [--out DIR]
                                  [--prompt-tokens 128] [--response-tokens 512]

FLOPs are counted on the meta device, on any machine; times are taken where a GPU is. The weights
are random: neither FLOPs nor latency depend on their values. The last line is JSON.
"""

import argparse
import sys

import torch

from measuring.machine import default_device, machine
from measuring.records import add_run_arguments, print_record, read_record, save_record
from peers.baselines import POLICIES, REWARD_MODELS, SCORE_READ
from peers.reward_flops import reward_model_flops, swift_flops
from peers.reward_latency import Workload, all_latencies
from rendering.reward_tables import BATCHES, PAPER, render

BUDGET_MS = 1000.0


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flops-only", action="store_true", help="no times")
    parser.add_argument("--small", action="store_true", help="tiny models: a smoke test")
    parser.add_argument("--device", help="take the times there; without it on a GPU or not at all")
    parser.add_argument("--prompt-tokens", type=_count, default=128)
    parser.add_argument("--response-tokens", type=_count, default=512)
    add_run_arguments(parser)
    options = parser.parse_args(arguments)
    torch.set_float32_matmul_precision("highest")
    device = torch.device(options.device or default_device())
    # a smoke test must not replace a measurement
    name = "reward_models_small" if options.small else "reward_models"
    prompt_tokens, response_tokens = lengths = options.prompt_tokens, options.response_tokens
    earlier = read_record(name, options.out)
    record = {
        "benchmark": "reward_models",
        "weights": "random",
        "prompt_tokens": prompt_tokens,
        "response_tokens": response_tokens,
        "score_read": SCORE_READ,
        "paper": PAPER,
        "flops": {
            "reward_models": [
                reward_model_flops(model, sum(lengths), small=options.small)
                for model in REWARD_MODELS
            ],
            "swift": [swift_flops(policy, *lengths, small=options.small) for policy in POLICIES],
        },
        "latency": None,
        "machine": machine(),
        "complete": False,
        "failures": [],
    }

    def save(latency: dict | None) -> None:
        record["latency"] = latency and {"machine": machine(), **latency}
        save_record(name, record, options)

    if not options.flops_only and (device.type == "cuda" or options.device):
        save(None)
        budget_ms = BUDGET_MS / 5 if options.quick else BUDGET_MS
        workload = Workload(device, *lengths, BATCHES, budget_ms, options.small)
        all_latencies(workload, record["failures"], save)
    elif earlier and (earlier["prompt_tokens"], earlier["response_tokens"]) == lengths:
        record["latency"] = earlier["latency"]  # a count keeps this machine's times
    record["complete"] = True
    save_record(name, record, options)
    print(render(record))
    print_record(record)
    if record["failures"]:
        sys.exit(f"{len(record['failures'])} failures")
    return record


def _count(text: str) -> int:
    count = int(text)
    if count < 2:  # with one response token nothing is fed, so nothing is scored
        raise argparse.ArgumentTypeError(f"{count} tokens, expected at least 2")
    return count


if __name__ == "__main__":
    main()
