"""How long and how much memory an evaluation takes, as a user runs it, on candidates made up.

    python bench/evaluation_speed.py [--prompts 500] [--candidates 64] [--out DIR] [--quick]

The whole command is timed: reading, every method for every k, 2,000 bootstrap draws, and the report
with its page. The answer is checked first: the planted score must beat the others.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring.machine import machine
from measuring.records import add_run_arguments, print_record, save_record
from swift_bon.candidates.files import replace_candidates, write_header
from swift_bon.candidates.records import PromptCandidates, StoredCandidate, TokenScores
from swift_bon.evaluation.reports import report_files

NAME = "evaluation_speed"
NUM_TOKENS = 300  # of a candidate
NOISY_SCORES = ("mean_logprob", "sum_logprob", "entropy", "self_certainty", "length")
WORDS = ["we", "add", "the", "two", "numbers", "first", "then", "take", "what", "is", "left", "of"]


def main(arguments: list[str] | None = None) -> int | str:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--candidates", type=int, default=64)
    add_run_arguments(parser)
    options = parser.parse_args(arguments)
    if options.quick:
        options.prompts, options.candidates = 20, 8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made-up.jsonl"
        replace_candidates(path, make_prompts(options.prompts, options.candidates))
        write_header(path, {"model": "none", "task": "made up", "split": "test"})
        record = {
            "benchmark": NAME,
            "machine": machine(),
            "num_prompts": options.prompts,
            "num_candidates": options.candidates,
            "num_tokens": NUM_TOKENS,
            "file_bytes": path.stat().st_size,
            **measure(path),
        }
    save_record(NAME, record, options)
    print_record(record)
    return 0 if record["swift"] > record["next_best"] else "the planted score is not the best"


def measure(path: Path) -> dict:
    """Seconds and peak memory of `swift-bon evaluate` in a process of its own."""
    command = [sys.executable, "-m", "swift_bon", "evaluate", str(path), "--json"]
    started = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - started
    found = json.loads(output.splitlines()[-1])
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "num_methods": len(found["methods"]),
        "num_draws": found["num_draws"],
        "seconds": seconds,
        "peak_resident_bytes": peak_kib * 1024,
        "page_bytes": report_files(path).html.stat().st_size,
        "swift": found["swift"],
        "next_best": max(found[name] for name in NOISY_SCORES),
    }


def make_prompts(num_prompts: int, num_candidates: int):
    """Questions of all difficulties; SWIFT's score knows more of what is right than the others."""
    draw = random.Random(0)
    for number in range(num_prompts):
        ease = draw.random()
        candidates = [make_candidate(draw, draw.random() < ease) for _ in range(num_candidates)]
        yield PromptCandidates(f"q{number}", f"question {number}", "right", candidates)


def make_candidate(draw: random.Random, correct: bool) -> StoredCandidate:
    words = draw.choices(WORDS, k=NUM_TOKENS)
    scores = {name: draw.gauss(correct, 2) for name in NOISY_SCORES}
    scores |= {"swift": draw.gauss(correct, 0.7)}
    return StoredCandidate(
        " ".join(words),
        [draw.randrange(49_000) for _ in words],
        correct,
        "right" if correct else draw.choice("abcdefgh"),
        scores,
        TokenScores(
            [len(word) + 1 for word in words[:-1]] + [len(words[-1])],
            [round(draw.gauss(0, 1), 3) for _ in words],
            [round(draw.random(), 3) for _ in words],
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
