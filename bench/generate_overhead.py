"""What scoring adds to `generate`: the same tokens with and without, taking turns.

    python bench/generate_overhead.py [--model smollm2-135m] [--candidates 32] [--tokens 32]
    python bench/generate_overhead.py --random-config llama-3.1-8b --candidates 16 64 --tokens 64

The ratio of each pair is taken: its median and its quartiles, and on a CPU also the share of the
time that passes inside `RunningScore.update`, which a noisy machine blurs less. A random model has
random weights and a fixed prompt: the latency does not depend on the values. Neither side is
compiled. The last line is JSON.
"""

import argparse
import functools
import statistics
import sys
import time
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tqdm import trange
from transformers import PreTrainedModel

from measuring.records import add_run_arguments
from measuring.script import Script
from measuring.timing import peak_memory_bytes, percentiles, synchronize
from peers.baselines import POLICIES, build_policy
from peers.generated_scores import check_generated
from swift_bon import BestOfNDecoding, load_model
from swift_bon.models.loading import load_head
from swift_bon.models.padding import pad_rows
from swift_bon.models.prompts import render_prompts
from swift_bon.tasks.registry import load_task
from swift_kernels import RewardHead, RunningScore

PROMPTS = 8
RANDOM_PROMPT_TOKENS = 32
RANDOM_CONFIGS = {name.lower(): name for name in POLICIES}


class Subject(NamedTuple):
    """The model that generates, its head and its prompts."""

    name: str
    model: PreTrainedModel
    head: RewardHead
    inputs: dict[str, Tensor]  # input_ids and attention_mask, [PROMPTS, length]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_arguments(parser)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--head", default=None)
    parser.add_argument(
        "--random-config", choices=RANDOM_CONFIGS, help="a model with random weights"
    )
    parser.add_argument("--candidates", type=int, nargs="+", default=[32], help="rows of the batch")
    parser.add_argument("--tokens", type=int, default=32, help="of each candidate")
    parser.add_argument("--pairs", type=int, default=7, help="timed pairs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.candidates, arguments.tokens, arguments.pairs = [PROMPTS], 4, 2
    script = Script(
        "generate_overhead", arguments, random_weights=arguments.random_config is not None
    )
    if arguments.random_config:
        policy = RANDOM_CONFIGS[arguments.random_config]
        subject = random_subject(policy, script.device, small=arguments.quick)
    else:
        subject = named_subject(arguments.model, arguments.head)
    script.record["model"] = subject.name
    for candidates in arguments.candidates:
        row = script.attempt(
            f"{subject.name}, {candidates} candidates",
            functools.partial(measure, subject, candidates, arguments.tokens, arguments.pairs),
        )
        if row is not None:
            script.add(row, describe(row))
    print_table(script.record)
    sys.exit(script.finish())


def named_subject(model_name: str, head_name: str | None) -> Subject:
    """A model by name on questions of the task `basics`."""
    model, tokenizer = load_model(model_name)
    head = load_head(head_name, model_name=model_name)
    questions = load_task("basics").questions("test")[:PROMPTS]
    chats = [[{"role": "user", "content": question.prompt}] for question in questions]
    inputs = pad_rows(render_prompts(tokenizer, chats), tokenizer.pad_token_id, model.device)
    return Subject(model_name, model, head, inputs)


def random_subject(policy: str, device: torch.device, *, small: bool) -> Subject:
    """A model with random weights and a random head, on prompts of fixed ids."""
    model = build_policy(policy, device, small=small)
    head = RewardHead(model.config.num_hidden_layers + 1, model.config.hidden_size).to(device)
    ids = torch.arange(PROMPTS * RANDOM_PROMPT_TOKENS, device=device).view(PROMPTS, -1)
    input_ids = ids % model.config.vocab_size
    inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
    return Subject(policy, model, head, inputs)


def measure(subject: Subject, candidates: int, tokens: int, pairs: int) -> dict:
    """Check the tokens and the scores, then time pairs; a row of the record.

    Raises:
        WrongAnswer: scoring changes a token, or scores wrongly.
    """
    device = subject.model.device

    def generate(**kwargs):
        torch.manual_seed(0)
        return subject.model.generate(
            **subject.inputs,
            do_sample=True,
            num_return_sequences=candidates // PROMPTS,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            pad_token_id=0,
            **kwargs,
        )

    score_error = check_generated(subject.model, subject.inputs, subject.head, generate)
    runs = {
        True: lambda: generate(custom_generate=BestOfNDecoding(subject.head)),
        False: generate,
    }
    peaks = {scoring: peak_memory_bytes(run, device) for scoring, run in runs.items()}
    seconds: dict[bool, list[float]] = {True: [], False: []}
    with UpdateClock() as clock:
        for pair in trange(pairs, unit="pair"):
            for scoring in (pair % 2 == 0, pair % 2 == 1):
                synchronize(device)
                started = time.perf_counter()
                runs[scoring]()
                synchronize(device)
                seconds[scoring].append(time.perf_counter() - started)
    ratios = [scored / plain for scored, plain in zip(seconds[True], seconds[False], strict=True)]
    lower, middle, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    scored, plain = (percentiles([1e3 * s / tokens for s in seconds[key]]) for key in (True, False))
    total = candidates * tokens
    return {
        "candidates": candidates,
        "tokens_per_candidate": tokens,
        "pairs": pairs,
        "score_error_of_spread": float(f"{score_error:.2e}"),
        "overhead_percent": round(100 * (middle - 1), 2),
        "overhead_percent_p25": round(100 * (lower - 1), 2),
        "overhead_percent_p75": round(100 * (upper - 1), 2),
        "step_ms": round(scored.p50_ms, 4),  # the prefill is shared out among the tokens
        "step_ms_without_scoring": round(plain.p50_ms, 4),
        "update_percent": round(100 * sum(clock.seconds) / sum(seconds[True]), 3),
        "update_host_us": round(1e6 * statistics.median(clock.seconds), 2),
        "tokens_per_second": round(total / statistics.median(seconds[True]), 1),
        "tokens_per_second_without_scoring": round(total / statistics.median(seconds[False]), 1),
        "extra_peak_bytes": None if peaks[True] is None else peaks[True] - peaks[False],
    }


class UpdateClock:
    """Seconds of every `RunningScore.update` while open, on the host.

    A CPU runs in step, so there they are the whole cost; on a GPU they are that of the launch.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.update = RunningScore.update

    def __enter__(self) -> "UpdateClock":
        def timed(*args, **kwargs) -> None:
            started = time.perf_counter()
            self.update(*args, **kwargs)
            self.seconds.append(time.perf_counter() - started)

        RunningScore.update = timed
        return self

    def __exit__(self, *_) -> None:
        RunningScore.update = self.update


def describe(row: dict) -> str:
    return (
        f"{row['candidates']} candidates x {row['tokens_per_candidate']} tokens: scoring adds "
        f"{row['overhead_percent']:+.2f}% (quartiles {row['overhead_percent_p25']:+.2f}% to "
        f"{row['overhead_percent_p75']:+.2f}%) to generate; {row['update_percent']:.2f}% of the "
        "host's time passes inside RunningScore.update"
    )


def print_table(record: dict) -> None:
    weights = ", random weights" if record["random_weights"] else ""
    table = Table(title=f"generate with {record['model']}{weights}")
    for heading in ("N", "tokens", "ms a step", "without", "added", "quartiles", "extra memory"):
        table.add_column(heading, justify="right")
    for row in record["rows"]:
        extra = row["extra_peak_bytes"]
        table.add_row(
            str(row["candidates"]),
            str(row["tokens_per_candidate"]),
            f"{row['step_ms']:.3f}",
            f"{row['step_ms_without_scoring']:.3f}",
            f"{row['overhead_percent']:+.2f}%",
            f"{row['overhead_percent_p25']:+.2f}% to {row['overhead_percent_p75']:+.2f}%",
            "" if extra is None else f"{extra / 2**20:.2f} MiB",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
