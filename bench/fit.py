"""Fitting heads to a feature store, against plain reading of its files and against arithmetic.

    python bench/fit.py [--candidates 48000] [--tokens 300] [--dim 512] [--heads 1 5] [--small]

A store of noise with a planted signal is made in a temporary folder (14.8 GB as it stands), read
as plain files, then fitted by `train_reward_head` in a process of its own, whose memory is watched.
An epoch cannot be faster than the slower of its two ceilings:

    reading      every shard into one small buffer, with the page cache as it is
    arithmetic   forward and backward of as many tokens, from one shard that stays in memory

The first epoch also compares checksums and stands alone. No time counts unless the fit found the
signal. The last line is JSON.
"""

import argparse
import functools
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from measuring.machine import default_device
from measuring.oracle import WrongAnswer
from measuring.own_process import in_own_process
from measuring.records import add_out_argument
from measuring.script import Script
from peers.fit_ceilings import arithmetic_s, cold_read_s, fetched_bytes, read_s
from peers.synthetic_store import MadeStore, StoreSize, check_disk, make_store
from swift_bon.fitting import training
from swift_bon.fitting.head_fitting import HeadFitting

SIGNAL = 4.0  # the best AUROC is 0.998, a fit to 2,000 candidates reaches 0.97
AUROC_FLOOR = 0.9
LEARNING_RATE = 2e-3  # finds the signal within an epoch
SMALL = {"candidates": 600, "samples": 4, "tokens": 20, "dim": 32, "batch_size": 16}
SMALL_SHARD_BYTES = 2**17  # several shards of a small store too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_out_argument(parser)
    parser.add_argument(
        "--small",
        "--quick",
        dest="quick",
        action="store_true",
        help="a small store, and no record without --out",
    )
    parser.add_argument("--candidates", type=int, default=48_000)
    parser.add_argument("--samples", type=int, default=8, help="candidates of a prompt")
    parser.add_argument("--tokens", type=int, default=300, help="of a candidate, on average")
    parser.add_argument("--dim", type=int, default=512, help="numbers of a token, in float16")
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 5], help="fitted together")
    parser.add_argument("--batch-size", type=int, default=256, help="candidates of a step")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--signal", type=float, default=SIGNAL, help="in deviations; 0 must fail")
    parser.add_argument("--device", type=torch.device, default=default_device())
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the store is made"
    )
    parser.add_argument("--keep", action="store_true", help="do not delete the store at the end")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs is below 2: the first one, which compares checksums, stands alone")
    shard = {}
    if arguments.quick:
        vars(arguments).update(SMALL)
        shard["shard_bytes"] = SMALL_SHARD_BYTES
    sizes = (arguments.candidates, arguments.samples, arguments.tokens, arguments.dim)
    size = StoreSize(*sizes, arguments.signal, **shard)
    try:
        print(check_disk(arguments.folder, size.num_bytes()), flush=True)
    except OSError as error:
        sys.exit(str(error))
    script = Script("fit", arguments, fit_device=arguments.device.type)
    folder = Path(tempfile.mkdtemp(prefix="fit-", dir=arguments.folder))
    try:
        sys.exit(run(script, folder, size))
    finally:
        if arguments.keep:
            print(f"kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)


def run(script: Script, folder: Path, size: StoreSize) -> int | str:
    """Make the store and fit to it; the exit code."""
    arguments = script.arguments
    started = time.perf_counter()
    made = make_store(folder, size)
    script.record["store"] = {
        "num_candidates": size.num_candidates,
        "num_samples": size.num_samples,
        "mean_tokens": size.num_tokens,
        "dim": size.dim,
        "dtype": size.dtype,
        "num_tokens": made.num_tokens,
        "num_bytes": made.num_bytes,
        "num_shards": len(made.shards),
        "make_s": time.perf_counter() - started,
    }
    cold_s = cold_read_s(made.shards)
    script.record["cold_read_s"] = cold_s
    cold = "" if cold_s is None else f" ({made.num_bytes / cold_s / 1e9:.2f} from the disk)"
    for num_heads in arguments.heads:
        options = {
            "seeds": tuple(range(num_heads)),
            "learning_rates": (LEARNING_RATE,),
            "batch_size": arguments.batch_size,
            "epochs": arguments.epochs,
            "patience": arguments.epochs,
        }
        measured = functools.partial(measure, made, options, arguments.device, cold)
        row = script.attempt(f"{num_heads} heads", measured)
        if row is not None:
            script.add(row, describe(row))
    return script.finish()


def measure(made: MadeStore, options: dict, device: torch.device, cold: str = "") -> dict:
    """Ceilings, then the fit; a row of the record.

    Raises:
        WrongAnswer: the fit did not find the signal.
    """
    num_heads = len(options["seeds"])
    read_before_s = read_s(made.shards)
    arithmetic = arithmetic_s(made, num_heads, options["batch_size"], device)
    print(
        f"ceiling: {made.num_bytes / read_before_s / 1e9:.2f} GB/s read{cold}, "
        f"{made.num_bytes / arithmetic / 1e9:.2f} GB/s of arithmetic with {num_heads} heads",
        flush=True,
    )
    fitted = in_own_process(fit, made.candidates, made.store, device, options)
    if not all(value >= AUROC_FLOOR for value in fitted["auroc"]):  # NaN is not
        raise WrongAnswer(f"AUROC {fitted['auroc']}, expected at least {AUROC_FLOOR}")
    read_after_s = read_s(made.shards)
    arithmetic = min(arithmetic, arithmetic_s(made, num_heads, options["batch_size"], device))
    first_s, *later_s = fitted["epoch_s"]
    epoch_s = statistics.median(later_s)
    reading = min(read_before_s, read_after_s)
    ceiling_s = max(reading, arithmetic)
    return {
        "num_heads": num_heads,
        **fitted,
        "first_epoch_s": first_s,
        "epoch_p50_s": epoch_s,
        "tokens_per_s": made.num_tokens / epoch_s,
        "gb_per_s": made.num_bytes / epoch_s / 1e9,
        "read_before_s": read_before_s,
        "read_after_s": read_after_s,
        "arithmetic_s": arithmetic,
        "bound_by": "reading" if reading >= arithmetic else "arithmetic",
        "read_percent": 100 * reading / epoch_s,
        "ceiling_percent": 100 * ceiling_s / epoch_s,
    }


def fit(candidates: Path, store: Path, device: torch.device, options: dict) -> dict:
    """Train heads and tell how long each epoch took, and what it fetched from the disk."""
    epoch_s: list[float] = []
    epoch_fetched_bytes: list[int | None] = []

    class TimedFitting(HeadFitting):
        def run_epoch(self, show_progress: bool = False) -> None:
            fetched, started = fetched_bytes(), time.perf_counter()
            super().run_epoch(show_progress)
            epoch_s.append(time.perf_counter() - started)
            is_known = fetched is not None
            epoch_fetched_bytes.append(fetched_bytes() - fetched if is_known else None)

    training.HeadFitting = TimedFitting  # train_reward_head itself says nothing about time
    started = time.perf_counter()
    report = training.train_reward_head(
        candidates, store, device=device, show_progress=False, **options
    ).report
    total_s = time.perf_counter() - started
    return {
        "auroc": [fit["auroc"] for fit in report["fits"]],
        "total_s": total_s,
        "setup_s": total_s - sum(epoch_s),  # candidates read, their tokens compared with the store
        "epoch_s": epoch_s,
        "epoch_fetched_bytes": epoch_fetched_bytes,
    }


def describe(row: dict) -> str:
    """One line of what came out."""
    memory = row["peak_resident_bytes"]
    held = "" if memory is None else f", {memory / 2**30:.2f} GiB at most"
    return (
        f"{row['num_heads']} heads: {row['epoch_p50_s']:.2f} s an epoch (the first "
        f"{row['first_epoch_s']:.2f} s), {row['gb_per_s']:.2f} GB/s, "
        f"{row['read_percent']:.0f}% of plain reading, {row['ceiling_percent']:.0f}% of the "
        f"ceiling ({row['bound_by']}); {row['total_s']:.1f} s in all{held}; "
        f"AUROC {min(row['auroc']):.3f}"
    )


if __name__ == "__main__":
    main()
