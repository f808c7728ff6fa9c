"""Records of benchmarks: whole or absent, strict JSON, under the name of the machine."""

import argparse
import json
import os

import pytest
import torch

from measuring import machine, records
from measuring.records import add_run_arguments, print_record, save_record, write_record

NAMES = {
    "Intel(R) Xeon(R) Processor": "xeon",
    "Intel(R) Xeon(R) Platinum 8480C CPU @ 2.00GHz": "xeon-platinum-8480c",
    "AMD EPYC 9654 96-Core Processor": "epyc-9654",
    "Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz": "core-i7-8650u",
    "": "cpu",
}


@pytest.mark.parametrize("name", NAMES)
def test_slug_of_a_cpu(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "processor", lambda: name)
    monkeypatch.setattr(machine, "num_cores", lambda: 2)
    assert machine.machine_slug() == f"{NAMES[name]}-2-cores"


def test_slug_of_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "NVIDIA H200")
    assert machine.machine_slug() == "nvidia-h200"


@pytest.mark.parametrize(
    "answers, expected",
    [
        (["abc", ""], "abc"),
        (["abc", " M setup.py"], "abc+dirty"),
        (["abc", None], "abc+dirty"),  # a tree of unknown state is no commit
        ([None], "from-the-environment"),
    ],
)
def test_commit(monkeypatch, answers, expected):
    monkeypatch.setenv("GIT_COMMIT", "from-the-environment")
    answers = iter(answers)
    monkeypatch.setattr(machine, "_output", lambda *_: next(answers))
    assert machine.commit() == expected


def test_a_header_is_strict_json():
    header = machine.machine()
    assert json.loads(json.dumps(header, allow_nan=False)) == header
    assert header["torch"] == torch.__version__


def test_the_default_folder_is_that_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(records, "machine_slug", lambda: "abacus")
    path = write_record("speed", {"rows": [1.5]}, None)
    assert path == tmp_path / "abacus" / "speed.json"
    assert json.loads(path.read_text()) == {"rows": [1.5]}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_nan_is_refused_and_the_old_record_stays(tmp_path, number):
    path = write_record("speed", {"ms": 1.0}, tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        write_record("speed", {"ms": number}, tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        print_record({"ms": number})
    assert json.loads(path.read_text()) == {"ms": 1.0}


def test_a_failing_write_leaves_the_old_record_and_no_other_file(monkeypatch, tmp_path):
    path = write_record("speed", {"ms": 1.0}, tmp_path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_record("speed", {"ms": 2.0}, tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(path.read_text()) == {"ms": 1.0}


def test_the_last_line_is_one_line_of_json(capsys):
    print_record({"rows": [{"ms": 1.0}]})
    assert capsys.readouterr().out == '{"rows": [{"ms": 1.0}]}\n'


def test_a_quick_run_replaces_no_measurement(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    monkeypatch.delenv("BENCH_OUT", raising=False)
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    save_record("speed", {}, parser.parse_args(["--quick"]))
    assert list(tmp_path.iterdir()) == []
    save_record("speed", {}, parser.parse_args(["--quick", "--out", str(tmp_path)]))
    save_record("speed", {}, parser.parse_args([]))
    assert (tmp_path / "speed.json").is_file()
    assert len(list(tmp_path.glob("results/*/speed.json"))) == 1


def test_the_environment_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_OUT", str(tmp_path))
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    assert parser.parse_args([]).out == tmp_path
