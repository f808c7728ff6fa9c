"""The doctor over every family of the installed transformers that writes text, as tiny models.

    PYTHONPATH=tests/helpers:bench python tests/helpers/architectures.py [--only llama bloom]

A family passes if a random model of it can be built from a configuration, plain `generate` writes
with it, and `swift_bon.doctor` finds nothing wrong.
"""

import argparse
import os
import sys
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
import transformers

import swift_bon
import swift_kernels
from families import Family, families, family_model
from measuring.machine import machine
from measuring.plain_generate import differs_from_forward, mixes_threads
from measuring.records import add_run_arguments, print_record, save_record
from swift_bon import best_of_n, doctor
from swift_kernels import RewardHead
from tiny_models import PAD, tiny_tokenizer

NAME = "architectures"
PASSED, LIMITED, REFUSED, SPEECHLESS, NOT_BUILT, FAILED = OUTCOMES = (
    "passed",
    "limited",  # transformers alone does it wrong, too
    "refused",
    "no text alone",  # plain `generate` raises where it is given nothing but text
    "not built",
    "failed",
)
LONGEST = 240  # characters of an error
PROMPTS = ["No.", "Why is the sky blue?"]  # of different lengths
OURS = tuple(str(Path(package.__file__).parent) for package in (swift_bon, swift_kernels))


def main(arguments: list[str] | None = None) -> int | str:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="model types; without it all")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    add_run_arguments(parser)
    options = parser.parse_args(arguments)
    tried = [f for f in families() if not options.only or f.model_type in options.only]
    if options.quick:
        tried = tried[:4]
    options.quick = options.quick or bool(options.only)  # not the whole list: no record of it
    start = time.perf_counter()
    with ProcessPoolExecutor(options.processes, get_context("spawn"), be_quiet) as pool:
        rows = []
        for row in pool.map(examine, tried):
            rows.append(row)
            print(f"{row['family']:28} {row['outcome']:14} {row['words'][:200]}", flush=True)
    counts = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in OUTCOMES}
    record = {"benchmark": NAME, "machine": machine(), "processes": options.processes}
    record |= {"seconds": round(time.perf_counter() - start), "counts": counts, "rows": rows}
    save_record(NAME, record, options)
    print_record({key: value for key, value in record.items() if key != "rows"})
    return f"{counts[FAILED]} families failed" if counts[FAILED] else 0


def be_quiet() -> None:
    """One core for each process, and no warnings of models that are random anyway."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()


def examine(family: Family) -> dict[str, str | float]:
    """The row of a family in the record."""
    start = time.perf_counter()
    outcome, words = find_outcome(family)
    seconds = round(time.perf_counter() - start, 2)
    names = {"family": family.model_type, "class": family.class_name}
    return {**names, "outcome": outcome, "words": words, "seconds": seconds}


def find_outcome(family: Family) -> tuple[str, str]:
    """What came of it, and why where it did not pass."""
    try:
        model = family_model(family)
    except Exception as error:  # any that a constructor may raise
        return NOT_BUILT, in_one_line(error)
    refusal = find_refusal(model)
    ids = torch.tensor([[5, 10, 11, 12, 13, 14, 15, 16]])
    try:
        options = {"attention_mask": torch.ones_like(ids), "pad_token_id": PAD}
        model.generate(ids, max_new_tokens=3, **options)
    except Exception as error:  # any that a model may raise on a text; it stands in the record
        return (
            (REFUSED, refusal)
            if model.config.is_encoder_decoder
            else (SPEECHLESS, in_one_line(error))
        )
    if refusal is not None:
        return REFUSED, refusal
    report = doctor(
        model,
        tiny_tokenizer(),
        prompts=PROMPTS,
        num_return_sequences=2,
        max_new_tokens=5,
        show_progress=False,
    )
    red = {check.name: check.words for check in report.checks if check.status == "failed"}
    if not red:
        return PASSED, ""
    limitation = find_limitation(model, ids, set(red))
    words = "; ".join(f"{name}: {words}" for name, words in red.items())
    return (FAILED, words) if limitation is None else (LIMITED, limitation)


def in_one_line(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:LONGEST]}"


def find_limitation(model, ids: torch.Tensor, red: set[str]) -> str | None:
    """What explains the red checks, proven with transformers alone."""
    if red <= {"scores", "features"} and differs_from_forward(model, ids):
        return (
            "plain `generate` computes other logits than one forward of its text; scores are of "
            "what `generate` computed"
        )
    if red == {"threads"} and mixes_threads(model, ids, ids.flip(1)):
        return "the model keeps its state in its modules: one thread at a time, in `generate` too"
    return None


def find_refusal(model) -> str | None:
    """What `best_of_n` says if it does not take the model; an error of the model is none."""
    config = model.config.get_text_config(decoder=True)
    try:
        head = RewardHead(config.num_hidden_layers + 1, config.hidden_size)
        best_of_n(model, tiny_tokenizer(), PROMPTS[0], head, 1, max_new_tokens=2)
    except (TypeError, ValueError, NotImplementedError) as error:
        (last,) = traceback.extract_tb(error.__traceback__)[-1:]
        return in_one_line(error) if last.filename.startswith(OURS) else None
    except Exception:  # any that a model may raise: the doctor says which
        return None
    return None


if __name__ == "__main__":
    sys.exit(main())
