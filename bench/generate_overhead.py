"""What scoring adds to `generate`: the same tokens with and without, taking turns.

    python bench/generate_overhead.py [--model smollm2-135m] [--candidates 64] [--tokens 32]

The ratio of each pair is taken; the last line is JSON with the median and the quartiles, and with
the share of the time that passes inside `RunningScore.update`, which a noisy machine blurs less.
"""

import argparse
import json
import statistics
import time

import torch
from tqdm import trange

from machine import machine
from swift_bon import BestOfNDecoding, load_model
from swift_bon.decoding import ScoredDecoding
from swift_bon.heads import load_head
from swift_bon.prompts import pad_left, render_prompts
from swift_bon.tasks import load_task
from swift_kernels import RunningScore

PROMPTS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--head", default=None)
    parser.add_argument("--candidates", type=int, default=64, help="rows of the batch")
    parser.add_argument("--tokens", type=int, default=32, help="of each candidate")
    parser.add_argument("--pairs", type=int, default=9, help="timed pairs")
    arguments = parser.parse_args()
    model, tokenizer = load_model(arguments.model)
    head = load_head(arguments.head, model_name=arguments.model)
    questions = load_task("basics").questions("test")[:PROMPTS]
    chats = [[{"role": "user", "content": question.prompt}] for question in questions]
    inputs = pad_left(render_prompts(tokenizer, chats), tokenizer.pad_token_id, model.device)

    def generate(**kwargs):
        torch.manual_seed(0)
        return model.generate(
            **inputs,
            do_sample=True,
            num_return_sequences=arguments.candidates // PROMPTS,
            min_new_tokens=arguments.tokens,
            max_new_tokens=arguments.tokens,
            **kwargs,
        )

    check_same_tokens(generate, head)
    update_seconds = time_updates()
    ratios, seconds = [], {True: [], False: []}
    for pair in trange(arguments.pairs, unit="pair"):
        for scoring in (pair % 2 == 0, pair % 2 == 1):
            started = time.perf_counter()
            generate(**({"custom_generate": BestOfNDecoding(head)} if scoring else {}))
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[scoring].append(time.perf_counter() - started)
        ratios.append(seconds[True][-1] / seconds[False][-1])
    share = sum(update_seconds) / sum(seconds[True])
    lower, middle, upper = statistics.quantiles(ratios, n=4)
    tokens = arguments.candidates * arguments.tokens
    record = {
        "benchmark": "generate_overhead",
        "model": arguments.model,
        "candidates": arguments.candidates,
        "tokens_per_candidate": arguments.tokens,
        "pairs": arguments.pairs,
        "overhead_percent": round(100 * (middle - 1), 2),
        "overhead_percent_p25": round(100 * (lower - 1), 2),
        "overhead_percent_p75": round(100 * (upper - 1), 2),
        "update_percent": round(100 * share, 3),
        "tokens_per_second": round(tokens / statistics.median(seconds[True]), 1),
        "tokens_per_second_without_scoring": round(tokens / statistics.median(seconds[False]), 1),
        "machine": machine(),
    }
    print(
        f"scoring adds {record['overhead_percent']:+.2f}% "
        f"(quartiles {record['overhead_percent_p25']:+.2f}% to "
        f"{record['overhead_percent_p75']:+.2f}%) to generate; "
        f"{record['update_percent']:.2f}% of the time passes inside RunningScore.update"
    )
    print(json.dumps(record))


def time_updates() -> list[float]:
    """Seconds of every `RunningScore.update` from now on. Exact on a CPU, which runs in step."""
    seconds: list[float] = []
    update = RunningScore.update

    def timed(*args, **kwargs) -> None:
        started = time.perf_counter()
        update(*args, **kwargs)
        seconds.append(time.perf_counter() - started)

    RunningScore.update = timed
    return seconds


def check_same_tokens(generate, head) -> None:
    """Scoring changes no token: a wrong answer is not worth timing."""
    plain = generate()
    scored = generate(custom_generate=ScoredDecoding(head))
    if not torch.equal(plain, scored.output) or not scored.scores.isfinite().all():
        raise SystemExit("generate writes other tokens with scoring than without")


if __name__ == "__main__":
    main()
