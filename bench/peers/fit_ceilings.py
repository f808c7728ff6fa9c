"""What no epoch of fitting can beat: reading the store's files, and the arithmetic alone."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from measuring.own_process import proc_number
from measuring.timing import time_wall
from peers.synthetic_store import MadeStore
from swift_bon.features.store import FeatureStore
from swift_bon.fitting.head_stack import HeadStack, stack_scores
from swift_bon.fitting.labels import RunBatch, cut_run
from swift_bon.fitting.losses import LOSSES
from swift_bon.fitting.options import FitOptions
from swift_bon.fitting.reading_order import plan_epoch

BUFFER_BYTES = 2**20
ARITHMETIC_BUDGET_MS = 3000.0
COLD_SHARE = 0.9  # of the bytes; less than that came from the disk, and the rest from memory


def read_s(paths: Sequence[Path]) -> float:
    """Seconds of reading the files one after the other into the same memory."""
    buffer = bytearray(BUFFER_BYTES)
    started = time.perf_counter()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.perf_counter() - started


def cold_read_s(paths: Sequence[Path]) -> float | None:
    """As `read_s`, from the disk; None where the system keeps the files in memory all the same."""
    if not hasattr(os, "posix_fadvise") or fetched_bytes() is None:
        return None
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    fetched = -fetched_bytes()
    seconds = read_s(paths)
    fetched += fetched_bytes()
    return seconds if fetched >= COLD_SHARE * sum(path.stat().st_size for path in paths) else None


def fetched_bytes() -> int | None:
    """What this process has had fetched from disks so far; None where the system does not say."""
    return proc_number("/proc/self/io", "read_bytes")


def arithmetic_s(made: MadeStore, num_heads: int, batch_size: int, device: torch.device) -> float:
    """Seconds of an epoch's forward and backward passes, if nothing had to be fetched.

    Measured on the first shard: its runs, as fitting cuts them, lie in the memory of the device.
    """
    options, loss = FitOptions(), LOSSES[FitOptions().loss]
    batches = _first_shard(made, batch_size, device)
    num_tokens, dim = sum(len(batch.states) for batch in batches), batches[0].states.shape[1]
    stack = HeadStack(
        range(num_heads),
        1,
        dim,
        gated=options.gated,
        mean=torch.zeros(dim),
        deviation=torch.ones(dim),
    ).to(device)
    leaves = [tensor.detach().requires_grad_() for tensor in stack.folded()]

    def total(batch: RunBatch) -> Tensor:
        scores = stack_scores(*leaves, [batch.states], batch.offsets, batch.scored)
        return loss.total(batch.table(scores), batch.correct, batch.present, options.alpha).sum()

    def train() -> None:
        for batch in batches:
            total(batch).backward()

    @torch.no_grad()
    def validate() -> None:
        for batch in batches:
            total(batch)

    def seconds_per_token(function: Callable[[], None]) -> float:
        runs = {"min_runs": 3, "max_runs": max(3, made.num_tokens // num_tokens)}
        timing = time_wall(function, device, budget_ms=ARITHMETIC_BUDGET_MS, **runs)
        return timing.p50_ms / 1e3 / num_tokens

    train_s, validate_s = seconds_per_token(train), seconds_per_token(validate)
    mean_s = (1 - options.validation) * train_s + options.validation * validate_s
    return made.num_tokens * mean_s


def _first_shard(made: MadeStore, batch_size: int, device: torch.device) -> list[RunBatch]:
    """Its runs as fitting cuts them, copied out of the mapped file."""
    prompts = made.first_prompts
    store = FeatureStore(made.store, prompts)
    correct = [torch.tensor([c.correct for c in prompt.candidates]) for prompt in prompts]
    is_wanted = [True] * len(prompts)
    token_bytes = store.spec.token_bytes
    steps = plan_epoch(store.shards[:1], is_wanted, batch_size, token_bytes, "arithmetic")
    pack = store.read(0)
    runs = (run for step in steps for run in step)
    cuts = (cut_run(pack, store.shards[0], run, correct, is_wanted) for run in runs)
    return [RunBatch(*(tensor.clone().to(device) for tensor in cut)) for cut in cuts]
