"""What scoring adds to generating: time and memory."""

import time
from typing import Any

import torch

from swift_bon.diagnosis.findings import Check
from swift_bon.diagnosis.own_forward import device_of
from swift_bon.diagnosis.patient import Patient
from swift_bon.generation.decoding import BestOfNDecoding
from swift_kernels import RunningScore

TURNS = 3  # of each, in turn; the fastest counts, which a busy machine disturbs least
NUM_TOKENS = 8  # at most, of each candidate
ABSURD = 5.0  # times as long: something else than scoring is slow


def check_cost(patient: Patient) -> Check:
    """Sampling of one prompt by plain `generate`, with and without scores."""
    scored = {"custom_generate": BestOfNDecoding(patient.head)}
    seconds: dict[bool, list[float]] = {False: [], True: []}
    peak = {False: 0, True: 0}
    for turn in range(TURNS + 1):
        for is_scored in (False, True):
            taken, memory = _measure(patient, scored if is_scored else {})
            if turn:  # the first one warms up
                seconds[is_scored].append(taken)
                peak[is_scored] = memory
    plain, with_scores = min(seconds[False]), min(seconds[True])
    ratio = with_scores / plain
    words = (
        f"generate with scores over generate without, fastest of {TURNS}: "
        f"{1e3 * with_scores:.0f} ms over {1e3 * plain:.0f} ms; {_memory(patient, peak)}; no "
        "benchmark, and red only where it is absurd"
    )
    if ratio <= ABSURD:
        return Check("cost", "passed", words, ratio, ABSURD)
    advice = "scoring costs a few dot products a token: run again on a machine that is not busy"
    return Check("cost", "failed", words, ratio, ABSURD, advice)


def _measure(patient: Patient, options: dict[str, Any]) -> tuple[float, int]:
    """Seconds, and the peak of a GPU's memory in bytes."""
    device = device_of(patient.model)
    on_gpu = device.type == "cuda"
    num_tokens = min(NUM_TOKENS, patient.generate_kwargs["max_new_tokens"])
    if on_gpu:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    with torch.random.fork_rng([device] if on_gpu else []):
        patient.generate(
            [patient.prompt_ids[0]],
            do_sample=True,
            num_return_sequences=patient.num_return_sequences,
            max_new_tokens=num_tokens,
            min_new_tokens=num_tokens,
            stop_strings=None,  # all are written; and without a tokenizer `generate` reads none
            **options,
        )
    if on_gpu:
        torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else 0
    return time.perf_counter() - start, peak


def _memory(patient: Patient, peak: dict[bool, int]) -> str:
    if any(peak.values()):
        return f"peak memory {(peak[True] - peak[False]) / 2**20:+.2f} MiB"
    count = patient.num_return_sequences
    kept = RunningScore(patient.head, count, torch.device("cpu")).sums
    return f"{kept.nbytes} bytes kept for {count} candidates"
