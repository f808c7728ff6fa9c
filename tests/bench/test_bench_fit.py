"""The benchmark of fitting: its store is a store, its checks fail where they should."""

import json
import os
import shutil
from collections import namedtuple

import pytest
import torch

import fit
import gpu
from measuring.oracle import WrongAnswer
from measuring.own_process import in_own_process, proc_number
from measuring.timing import Timing
from peers import synthetic_store
from peers.fit_ceilings import arithmetic_s, cold_read_s, fetched_bytes, read_s
from peers.synthetic_store import StoreSize, check_disk, make_store
from rendering.fit_table import render
from swift_bon.candidates.files import read_candidates
from swift_bon.features.shards import divide_moments, sum_moments
from swift_bon.features.store import FeatureStore
from swift_bon.fitting import training
from swift_bon.fitting.head_fitting import HeadFitting
from swift_bon.fitting.options import FitOptions

CPU = torch.device("cpu")
SIZE = StoreSize(600, 4, 20, 32, signal=3.0, shard_bytes=2**17)
OPTIONS = {"seeds": (0, 1), "learning_rates": (2e-3,), "batch_size": 16, "epochs": 4, "patience": 4}
DiskUsage = namedtuple("DiskUsage", "total used free")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("made"), SIZE)


@pytest.fixture
def in_this_process(monkeypatch):
    """The fit without the seconds that a new process takes to begin."""
    monkeypatch.setattr(training, "HeadFitting", HeadFitting)  # put back what `fit` replaces
    peaks = {"peak_resident_bytes": 2**30, "peak_anonymous_bytes": None}
    monkeypatch.setattr(fit, "in_own_process", lambda function, *args: function(*args) | peaks)


def run_main(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["fit.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        fit.main()
    return ended.value.code


def test_the_store_is_one_of_whole_prompts(made):
    prompts = read_candidates(made.candidates)
    store = FeatureStore(made.store, prompts)
    assert len(store.shards) == len(made.shards) > 3
    assert [len(prompt.candidates) for prompt in prompts] == [4] * 150
    assert made.num_bytes == sum(path.stat().st_size for path in made.shards)
    lengths, sums = [], torch.zeros(2, SIZE.dim, dtype=torch.float64)
    for number, shard in enumerate(store.shards):
        pack = store.read(number)
        assert pack.states.dtype == torch.float16
        assert pack.states.nbytes <= SIZE.shard_bytes
        candidates = [c for position in shard.prompts for c in prompts[position].candidates]
        assert [len(c.token_ids) - 1 for c in candidates] == pack.offsets.diff().tolist()
        lengths += pack.offsets.diff().tolist()
        sums += sum_moments(pack.states)
    assert lengths == SIZE.lengths().tolist() and sum(lengths) == made.num_tokens
    assert min(lengths) == 10 and max(lengths) == 30
    expected = divide_moments(sums, made.num_tokens)
    assert all(torch.equal(*pair) for pair in zip(store.moments(), expected, strict=True))
    assert made.first_prompts == prompts[: len(store.shards[0].prompts)]


def test_no_number_of_samples_is_lost():
    size = StoreSize(10, 4, 20, 32, signal=3.0, shard_bytes=1)
    shards = list(synthetic_store._shards(size, torch.Generator().manual_seed(0)))
    assert [[len(prompt.candidates) for prompt in shard] for shard in shards] == [[4], [4], [2]]


@pytest.mark.parametrize("signal", [0.0, 3.0])
def test_the_means_differ_by_the_signal(signal):
    size = StoreSize(1, 1, 25, 8, signal)
    wrong, right = synthetic_store._banks(size, torch.Generator().manual_seed(0))
    moved = (right.double() - wrong.double()).mean(dim=0)
    # the deviation of a mean of 25 tokens is 1/5
    assert float(moved.norm()) == pytest.approx(signal / 5, rel=1e-2)


def test_a_full_disk_is_refused_before_anything_is_written(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: DiskUsage(0, 0, 2**26 + SIZE.num_bytes()))
    assert "which has 0.068 GB free" in check_disk(tmp_path, SIZE.num_bytes())
    with pytest.raises(OSError, match="take another --folder, or fewer --candidates"):
        make_store(tmp_path, StoreSize(620, 4, 20, 32, signal=3.0))
    message = run_main(monkeypatch, "--candidates", 48_000, "--folder", tmp_path)
    assert "needs 14.9 GB" in message
    assert list(tmp_path.iterdir()) == []


def test_a_row_has_ceilings_and_times(made, in_this_process, capsys):
    row = fit.measure(made, OPTIONS, CPU, ", cold")
    assert capsys.readouterr().out.startswith("ceiling: ")
    assert (
        row["num_heads"] == 2 and len(row["epoch_s"]) == 4 and min(row["auroc"]) > fit.AUROC_FLOOR
    )
    assert row["first_epoch_s"] == row["epoch_s"][0]
    assert min(row["epoch_s"][1:]) <= row["epoch_p50_s"] <= max(row["epoch_s"][1:])
    assert row["total_s"] == pytest.approx(sum(row["epoch_s"]) + row["setup_s"])
    assert row["tokens_per_s"] == pytest.approx(made.num_tokens / row["epoch_p50_s"])
    ceiling_s = max(row["arithmetic_s"], min(row["read_before_s"], row["read_after_s"]))
    assert row["bound_by"] == "arithmetic" and ceiling_s == row["arithmetic_s"]
    assert row["ceiling_percent"] == pytest.approx(100 * ceiling_s / row["epoch_p50_s"])
    assert "2 heads: " in fit.describe(row) and "1.00 GiB at most" in fit.describe(row)


def test_reading_may_be_the_slower_ceiling(made, in_this_process, monkeypatch):
    seconds = iter([60.0, 40.0])
    monkeypatch.setattr(fit, "read_s", lambda paths: next(seconds))
    row = fit.measure(made, OPTIONS, CPU)
    assert row["bound_by"] == "reading"
    assert row["ceiling_percent"] == row["read_percent"] == 100 * 40 / row["epoch_p50_s"]


def test_without_a_signal_there_is_no_time(tmp_path, in_this_process):
    size = StoreSize(600, 4, 20, 32, signal=0.0, shard_bytes=2**17)
    with pytest.raises(WrongAnswer, match="AUROC .* expected at least 0.9"):
        fit.measure(make_store(tmp_path, size), OPTIONS, CPU)


def test_one_bad_head_among_several_is_noticed(made, in_this_process, monkeypatch):
    heads = fit.training.train_reward_head

    def spoil(*args, **kwargs):
        trained = heads(*args, **kwargs)
        trained.report["fits"][1]["auroc"] = float("nan")
        return trained

    monkeypatch.setattr(training, "train_reward_head", spoil)
    with pytest.raises(WrongAnswer, match="AUROC"):
        fit.measure(made, OPTIONS, CPU)


def test_plain_reading_reads_all(made, monkeypatch):
    def num_read():
        return proc_number("/proc/self/io", "rchar") or 0

    monkeypatch.setattr("peers.fit_ceilings.BUFFER_BYTES", 2**12)  # less than a shard
    before = num_read()
    assert read_s(made.shards) > 0
    assert num_read() - before >= made.num_bytes or not os.path.exists("/proc/self/io")
    monkeypatch.setattr("peers.fit_ceilings.fetched_bytes", lambda: 0)  # all came from memory
    assert cold_read_s(made.shards) is None
    monkeypatch.setattr("peers.fit_ceilings.fetched_bytes", lambda: None)
    assert cold_read_s(made.shards) is None
    monkeypatch.undo()
    assert fetched_bytes() is None or fetched_bytes() >= 0


def test_the_arithmetic_is_that_of_an_epoch(made, monkeypatch):
    in_first = sum(len(c.token_ids) - 1 for p in made.first_prompts for c in p.candidates)
    took_ms = {"train": 1e3, "validate": 0.0}  # for the first shard

    def time_wall(function, device, max_runs, **_):
        function()
        assert max_runs == made.num_tokens // in_first
        return Timing(0.0, took_ms[function.__name__], 0.0)

    monkeypatch.setattr("peers.fit_ceilings.time_wall", time_wall)
    share = 1 - FitOptions().validation
    assert arithmetic_s(made, 1, 16, CPU) == pytest.approx(share * made.num_tokens / in_first)


def test_memory_is_that_of_the_other_process():
    grown = in_own_process(eval, "dict(size=len(b'x' * 2**27))")
    assert grown["size"] == 2**27
    if proc_number("/proc/self/status", "VmHWM"):
        assert 2**27 < grown["peak_resident_bytes"] < 2**28
        assert grown["peak_anonymous_bytes"] > 0


def test_a_process_that_ends_early_is_said():
    with pytest.raises(RuntimeError, match="exit code 3"):
        in_own_process(os._exit, 3)
    assert proc_number("/no/such/file", "VmHWM") is None


def test_the_small_run_from_end_to_end(monkeypatch, tmp_path, capsys):
    code = run_main(
        monkeypatch, "--small", "--heads", 1, "--out", tmp_path / "out", "--folder", tmp_path
    )
    lines = capsys.readouterr().out.splitlines()
    assert code == 0, lines
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # the store is gone
    record = json.loads((tmp_path / "out/fit.json").read_text())
    assert json.loads(lines[-1]) == record and record["complete"]
    assert lines[0].startswith("the synthetic store needs") and lines[1].startswith("ceiling: ")
    (row,) = record["rows"]
    assert row["num_heads"] == 1 and row["auroc"][0] >= fit.AUROC_FLOOR
    assert record["store"]["num_candidates"] == 600 and record["store"]["num_shards"] > 3
    if proc_number("/proc/self/status", "VmHWM"):
        assert 2**26 < row["peak_anonymous_bytes"] < row["peak_resident_bytes"]
    table = render(record)
    assert "600 candidates of 20 tokens on average, 32 numbers each in float16" in table
    assert "| 1 | " in table.splitlines()[-1] and "4 epochs" in table


def test_the_table():
    machine = {"device": "2 CPU cores", "processor": "Abacus", "cuda": None, "commit": None}
    row = {"num_heads": 5, "epoch_p50_s": 10.0, "first_epoch_s": 24.04, "tokens_per_s": 1.44e6}
    row |= {"gb_per_s": 1.474, "read_before_s": 2.5, "read_after_s": 2.0, "arithmetic_s": 8.0}
    row |= {"read_percent": 20.0, "ceiling_percent": 80.0, "bound_by": "arithmetic"}
    row |= {"total_s": 61.4, "epoch_s": [24.04, 10.0, 10.0, 10.0]}
    row |= {"peak_anonymous_bytes": 2**30, "peak_resident_bytes": None}
    store = {"num_candidates": 48_000, "mean_tokens": 300, "dim": 512, "dtype": "float16"}
    store |= {"num_bytes": 14_740_000_000, "num_shards": 230}
    record = {"machine": machine | {"date": "today"}, "fit_device": "cpu", "store": store}
    record |= {"cold_read_s": 10.0, "rows": [row]}
    text = render(record)
    assert "48,000 candidates of 300 tokens on average" in text and "14.7 GB in 230 shards" in text
    assert "from the disk alone: 1.47 GB/s (10.0 s)" in text
    values = "10.0 s | 24.0 s | 1,440,000 | 1.47 | 7.37 GB/s | 1.84 GB/s | 20% | 80% (arithmetic)"
    assert f"| 5 | {values} | 61 s, 4 epochs | 1.00 GiB | - |" in text
    assert "disk" not in render(record | {"cold_read_s": None})
    record["machine"]["cuda"] = "13.0"
    assert "Fitted on the CPU." in render(record)


def test_it_is_a_part_of_a_gpus_benchmarks():
    assert "bench/fit.py" in gpu.PARTS["fit"].arguments and "fit-gpu" in gpu.SUMMARY_TABLES
