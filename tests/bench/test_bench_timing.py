"""Timing of benchmarks, on a clock that the test turns."""

import pytest
import torch
from triton.runtime.errors import OutOfResources

from measuring import bandwidth, timing
from measuring.timing import Timing, percentiles, time_device, time_in_turns

CPU = torch.device("cpu")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock in seconds that only functions under test move on."""

    class Clock:
        now = 0.0

        def takes(self, *milliseconds):
            """A function that takes these times, one after the other, then the last for ever."""
            times = list(milliseconds)

            def function():
                self.now += (times.pop(0) if len(times) > 1 else times[0]) / 1e3

            return function

    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_percentiles_of_a_hand_made_list():
    assert percentiles([10.0, 0.0, 5.0]) == Timing(2.0, 5.0, 8.0)
    assert percentiles([float(value) for value in range(101)]) == Timing(20.0, 50.0, 80.0)
    assert percentiles([3.0]) == Timing(3.0, 3.0, 3.0)


def test_warm_up_does_not_count(clock):
    timed = time_device(clock.takes(900.0, 800.0, 2.0), CPU)
    assert timed == pytest.approx(Timing(2.0, 2.0, 2.0))


@pytest.mark.parametrize("milliseconds, runs", [(2.0, 50), (1000.0, 10), (0.001, 70)])
def test_runs_fit_the_budget(clock, milliseconds, runs):
    calls = []
    take = clock.takes(milliseconds)

    def function():
        calls.append(None)
        take()

    time_device(function, CPU, budget_ms=101.0, min_runs=10, max_runs=70)
    assert len(calls) == runs + timing.WARM_UPS


def test_forms_take_turns(clock):
    order = []
    takes = {"a": clock.takes(9.0, 9.0, 1.0, 2.0, 3.0), "b": clock.takes(9.0, 9.0, 4.0)}

    def form(name):
        def function():
            order.append(name)
            takes[name]()

        return function

    timings = time_in_turns({name: form(name) for name in takes}, CPU, rounds=3)
    assert order[-6:] == ["a", "b"] * 3
    assert timings["a"] == pytest.approx(Timing(1.4, 2.0, 2.6))
    assert timings["b"] == pytest.approx(Timing(4.0, 4.0, 4.0))


def test_host_time_is_that_of_one_call(clock):
    assert timing.time_host_us(clock.takes(0.25), CPU, calls=4) == pytest.approx(250.0)


def test_wall_time_ends_when_the_device_rests(clock, monkeypatch):
    monkeypatch.setattr(timing, "synchronize", lambda device: clock.takes(5.0)())
    timed = timing.time_wall(clock.takes(2.0), CPU)
    assert timed == pytest.approx(Timing(7.0, 7.0, 7.0))


def test_bandwidth_counts_bytes_read_and_written(monkeypatch):
    monkeypatch.setattr(bandwidth, "BANDWIDTH_BYTES", {"cpu": 4 * 16_384})
    milliseconds = {"copy": 2.0, "sum": 4.0, "amax": 1.0, "row_sum": 3.0}
    monkeypatch.setattr(
        bandwidth,
        "time_in_turns",
        lambda functions, *_: {name: Timing(0.0, milliseconds[name], 9.0) for name in functions},
    )
    measured = bandwidth.measured_bandwidth(CPU)
    assert measured.copy_gb_per_s == pytest.approx(2 * 65_536 / 2.0 / 1e6)
    assert measured.read_gb_per_s == pytest.approx(65_536 / 1.0 / 1e6)
    assert measured.fastest_read == "amax"
    assert measured.ceiling_gb_per_s == measured.copy_gb_per_s


@pytest.mark.parametrize("num_programs", [1, 3])
def test_the_kernel_that_only_reads_reads_all(num_programs):
    source = torch.rand(2 * num_programs * bandwidth.BLOCK, device=DEVICE)
    sums = bandwidth.read_all(source, num_programs)
    expected = source.view(2, num_programs, -1).sum((0, 2), dtype=torch.float64)
    torch.testing.assert_close(sums.double(), expected, rtol=1e-5, atol=0)
    with pytest.raises(ValueError, match="multiple"):
        bandwidth.read_all(source[:-1], num_programs)


def test_a_read_whose_sum_is_wrong_is_no_ceiling(monkeypatch):
    monkeypatch.setattr(bandwidth, "NUM_PROGRAMS", 1)
    source = torch.rand(2 * bandwidth.BLOCK, device=DEVICE)
    read_all = bandwidth.read_all
    monkeypatch.setattr(bandwidth, "read_all", lambda source: read_all(source, 1))
    assert bandwidth._read_kernel(source).keys() == {"read_kernel"}
    monkeypatch.setattr(bandwidth, "read_all", lambda source: read_all(source, 1) * 1.01)
    assert bandwidth._read_kernel(source) == {}

    def fail(source):
        raise OutOfResources(1, 0, "registers")

    monkeypatch.setattr(bandwidth, "read_all", fail)
    assert bandwidth._read_kernel(source) == {}


class FakeEvent:
    """An event of a GPU on the clock of the test."""

    clock = None

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.now = self.clock.now

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return 1e3 * (end.now - self.now)


@pytest.mark.parametrize("host_ms, flushes", [(0.05, 1), (3.0, 5), (9999.0, timing.MAX_FLUSHES)])
def test_a_slow_host_is_hidden_behind_more_work(clock, monkeypatch, host_ms, flushes):
    monkeypatch.setattr(FakeEvent, "clock", clock)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(timing, "synchronize", lambda device: None)
    calls = []

    def flush(self):
        calls.append("flush")
        clock.takes(1.0)()

    monkeypatch.setattr(timing._Stopwatch, "_flush", flush)
    stopwatch = timing._Stopwatch(CPU)
    stopwatch.device, stopwatch.flush_ms = torch.device("cuda"), 1.0
    run_ms = stopwatch.prepare(clock.takes(host_ms))
    calls.clear()
    assert run_ms() == pytest.approx(host_ms)
    assert len(calls) == flushes


def test_no_peak_memory_on_a_cpu():
    assert timing.peak_memory_bytes(lambda: torch.ones(8), CPU) is None
