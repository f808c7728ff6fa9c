"""How long a function takes on a device, how fast the device's memory is, what a call allocates."""

import time
from collections.abc import Callable, Sequence
from statistics import quantiles
from typing import Any, NamedTuple

import torch
from torch import Tensor

WARM_UPS = 2  # the first call may compile
FLUSH_BYTES = 512 * 2**20  # written in about 0.1 ms on a GPU: longer than most calls take to launch
BANDWIDTH_BYTES = {"cuda": 4 * 2**30, "cpu": 256 * 2**20}  # far larger than any cache
BANDWIDTH_ROUNDS = 15


class Timing(NamedTuple):
    """Milliseconds of one run: the median, and the 20th and 80th percentiles."""

    p20_ms: float
    p50_ms: float
    p80_ms: float


class Bandwidth(NamedTuple):
    """What the memory gives in this run, in 10^9 bytes per second."""

    copy_gb_per_s: float
    read_gb_per_s: float


def time_device(
    function: Callable[[], Any],
    device: torch.device | str,
    *,
    budget_ms: float = 300.0,
    min_runs: int = 10,
    max_runs: int = 200,
) -> Timing:
    """Time one function: as many runs as fit the budget, within `min_runs` and `max_runs`.

    On a GPU each run lies between two events and starts with a cold L2 cache; on a CPU the clock
    is `time.perf_counter`.
    """
    stopwatch = _Stopwatch(torch.device(device))
    for _ in range(WARM_UPS):
        stopwatch.run_ms(function)
    started = time.perf_counter()
    samples = [stopwatch.run_ms(function)]
    lap_ms = 1e3 * (time.perf_counter() - started)  # with the flush, which the sample leaves out
    runs = int(min(max_runs, max(min_runs, budget_ms / max(lap_ms, 1e-3))))
    samples += [stopwatch.run_ms(function) for _ in range(runs - 1)]
    return percentiles(samples)


def time_in_turns(
    functions: dict[str, Callable[[], Any]], device: torch.device | str, rounds: int
) -> dict[str, Timing]:
    """Time several functions, one run of each per round, so that drift hits all alike."""
    samples = sample_in_turns(functions, device, rounds)
    return {name: percentiles(values) for name, values in samples.items()}


def sample_in_turns(
    functions: dict[str, Callable[[], Any]], device: torch.device | str, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of every run of `time_in_turns`, in the order of the rounds."""
    stopwatch = _Stopwatch(torch.device(device))
    for function in functions.values():
        for _ in range(WARM_UPS):
            stopwatch.run_ms(function)
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            samples[name].append(stopwatch.run_ms(function))
    return samples


def percentiles(samples_ms: Sequence[float]) -> Timing:
    """The three percentiles, interpolated between the samples."""
    if len(samples_ms) == 1:
        return Timing(*samples_ms * 3)
    deciles = quantiles(samples_ms, n=10, method="inclusive")
    return Timing(deciles[1], deciles[4], deciles[7])


def time_host_us(function: Callable[[], Any], device: torch.device | str, calls: int) -> float:
    """Microseconds that the host spends in one call, without waiting for the device.

    The median of five loops. `calls` stays below what the device's queue holds (about 1000
    launches): a full queue would make the host wait.
    """
    device = torch.device(device)
    for _ in range(WARM_UPS):
        function()
    loops = []
    for _ in range(5):
        synchronize(device)
        started = time.perf_counter()
        for _ in range(calls):
            function()
        loops.append(1e6 * (time.perf_counter() - started) / calls)
    synchronize(device)
    return sorted(loops)[2]


def measured_bandwidth(device: torch.device | str) -> Bandwidth:
    """The bandwidth of a copy and of a read, on tensors far larger than the caches.

    Copy: `Tensor.copy_` within the device, counting the bytes read and the bytes written. Read:
    the fastest of three reductions of one float32 tensor: `sum` of all, `amax` of all, `sum` of
    rows of 16,384. No reduction of PyTorch is known to reach the peak of every device, so a
    kernel may read faster than this.
    """
    device = torch.device(device)
    source = torch.ones(BANDWIDTH_BYTES[device.type] // 4, device=device)
    target = torch.empty_like(source)
    rows = source.view(-1, 16_384)
    timings = time_in_turns(
        {
            "copy": lambda: target.copy_(source),
            "sum": lambda: source.sum(),
            "amax": lambda: source.amax(),
            "row_sum": lambda: rows.sum(-1),
        },
        device,
        BANDWIDTH_ROUNDS,
    )
    read_ms = min(timing.p50_ms for name, timing in timings.items() if name != "copy")
    return Bandwidth(
        gb_per_s(2 * source.nbytes, timings["copy"].p50_ms), gb_per_s(source.nbytes, read_ms)
    )


def gb_per_s(num_bytes: int, milliseconds: float) -> float:
    return num_bytes / milliseconds / 1e6


def peak_memory_bytes(function: Callable[[], Any], device: torch.device | str) -> int | None:
    """The most that PyTorch holds during one call, beyond what it held before; None on a CPU."""
    if torch.device(device).type != "cuda":
        return None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = function()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated()
    del result
    return peak - before


def synchronize(device: torch.device | str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


class _Stopwatch:
    """Milliseconds of one run of a function on a device."""

    def __init__(self, device: torch.device):
        self.run_ms = self._run_on_gpu if device.type == "cuda" else self._run_on_cpu
        if device.type == "cuda":
            cache_bytes = torch.cuda.get_device_properties(device).L2_cache_size
            num_bytes = max(2 * cache_bytes, FLUSH_BYTES)
            self.flush: Tensor = torch.empty(num_bytes // 4, dtype=torch.int32, device=device)

    def _run_on_cpu(self, function: Callable[[], Any]) -> float:
        started = time.perf_counter()
        function()
        return 1e3 * (time.perf_counter() - started)

    def _run_on_gpu(self, function: Callable[[], Any]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.flush.zero_()  # empties the L2, and keeps the GPU busy while the host launches
        start.record()
        function()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)
