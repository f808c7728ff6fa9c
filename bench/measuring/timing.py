"""How long a function takes on a device, and what memory a call needs."""

import math
import time
from collections.abc import Callable, Sequence
from statistics import quantiles
from typing import Any, NamedTuple

import torch
from torch import Tensor

from swift_kernels.fused import workspace

WARM_UPS = 2  # the first call may compile
FLUSH_BYTES = 512 * 2**20  # read in about 0.1 ms on a GPU
MAX_FLUSHES = 64  # before one run
HOST_MARGIN = 1.5  # of what the host took, when it is hidden behind flushes


class Timing(NamedTuple):
    """Milliseconds of one run: the median, and the 20th and 80th percentiles."""

    p20_ms: float
    p50_ms: float
    p80_ms: float


def time_device(
    function: Callable[[], Any],
    device: torch.device | str,
    *,
    budget_ms: float = 300.0,
    min_runs: int = 10,
    max_runs: int = 200,
) -> Timing:
    """Time one function: as many runs as fit the budget, within `min_runs` and `max_runs`.

    On a GPU each run lies between two events, starts with a cold L2 cache, and is launched while
    the GPU is still busy with something else, so that the host's time does not show; on a CPU the
    clock is `time.perf_counter`.
    """
    run_ms = _Stopwatch(torch.device(device)).prepare(function)
    return _repeat(run_ms, budget_ms, min_runs, max_runs)


def time_wall(
    function: Callable[[], Any],
    device: torch.device | str,
    *,
    budget_ms: float = 300.0,
    min_runs: int = 10,
    max_runs: int = 200,
) -> Timing:
    """As `time_device`, but what a caller waits: host and device, until the device is done."""
    run_ms = _Stopwatch(torch.device(device)).prepare_wall(function)
    return _repeat(run_ms, budget_ms, min_runs, max_runs)


def _repeat(run_ms: Callable[[], float], budget_ms: float, min_runs: int, max_runs: int) -> Timing:
    started = time.perf_counter()
    samples = [run_ms()]
    lap_ms = 1e3 * (time.perf_counter() - started)  # with the flush, which the sample leaves out
    runs = int(min(max_runs, max(min_runs, budget_ms / max(lap_ms, 1e-3))))
    samples += [run_ms() for _ in range(runs - 1)]
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
    runs_ms = {name: stopwatch.prepare(function) for name, function in functions.items()}
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, run_ms in runs_ms.items():
            samples[name].append(run_ms())
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


def gb_per_s(num_bytes: int, milliseconds: float) -> float:
    return num_bytes / milliseconds / 1e6


def peak_memory_bytes(function: Callable[[], Any], device: torch.device | str) -> int | None:
    """The most that PyTorch holds during one call, beyond what it held before; None on a CPU.

    Scratch memory that our kernels keep from call to call counts as that of the call.
    """
    if torch.device(device).type != "cuda":
        return None
    torch.cuda.synchronize()
    workspace._workspaces.clear()
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
        self.device = device
        if device.type == "cuda":
            cache_bytes = torch.cuda.get_device_properties(device).L2_cache_size
            num_bytes = max(4 * cache_bytes, FLUSH_BYTES)
            self.buffer: Tensor = torch.zeros(num_bytes // 4, device=device)
            self.flush_ms = min(self._between_events(self._flush) for _ in range(3))

    def prepare(self, function: Callable[[], Any]) -> Callable[[], float]:
        """Warm the function up; the function that times one run of it."""
        for _ in range(WARM_UPS):
            function()
        if self.device.type != "cuda":
            return lambda: self._by_the_clock(function)
        host_ms = min(self._launch_ms(function) for _ in range(3))
        wanted = math.ceil(HOST_MARGIN * host_ms / self.flush_ms)
        num_flushes = min(max(wanted, 1), MAX_FLUSHES)

        def run_ms() -> float:
            for _ in range(num_flushes):  # the GPU is busy while the host launches
                self._flush()
            return self._between_events(function)

        return run_ms

    def prepare_wall(self, function: Callable[[], Any]) -> Callable[[], float]:
        """As `prepare`, by the host's clock, from a device at rest until it rests again."""
        for _ in range(WARM_UPS):
            function()

        def run_ms() -> float:
            if self.device.type == "cuda":
                self._flush()
            synchronize(self.device)
            return self._by_the_clock(lambda: (function(), synchronize(self.device)))

        return run_ms

    def _flush(self) -> None:
        """Fill the L2 by reading: written lines would be written back while the clock runs."""
        self.buffer.amax()

    def _launch_ms(self, function: Callable[[], Any]) -> float:
        synchronize(self.device)
        return self._by_the_clock(function)

    def _by_the_clock(self, function: Callable[[], Any]) -> float:
        started = time.perf_counter()
        function()
        return 1e3 * (time.perf_counter() - started)

    def _between_events(self, function: Callable[[], Any]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)
