"""The frame of the benchmarks: what fails or is stopped loses nothing that was done before."""

import argparse
import functools
import json
import re
import sys

import pytest
import torch

import evaluate
import generate_overhead
import gpu
from evaluation_cases import random_prompts
from gpu import Part, run_parts
from measuring.oracle import WrongAnswer
from measuring.script import Script
from peers import generated_scores
from peers.baselines import build_policy
from swift_bon.candidates.files import append_candidates
from swift_bon.evaluation.comparison import evaluate_candidates
from swift_kernels import RewardHead, RunningScore


@pytest.fixture
def script(tmp_path):
    return Script("speed", argparse.Namespace(out=tmp_path, quick=False), color="blue")


def on_disk(script):
    return json.loads((script.arguments.out / "speed.json").read_text())


def test_every_row_is_saved_and_the_end_completes(script, capsys):
    script.add({"ms": 1.0}, "one row")
    record = on_disk(script)
    assert record["rows"] == [{"ms": 1.0}] and record["color"] == "blue"
    assert record["complete"] is False
    assert script.finish() == 0
    assert on_disk(script)["complete"] is True
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == on_disk(script)
    assert record["machine"]["float32_matmul_precision"] == "highest"


def test_a_failure_does_not_end_the_others(script, capsys):
    def stop(error):
        raise error

    for error in (WrongAnswer("off"), RuntimeError("no memory\nand more")):
        assert script.attempt("case", functools.partial(stop, error)) is None
    assert script.attempt("case", lambda: 3) == 3
    assert on_disk(script)["failures"] == ["case: off", "case: RuntimeError: no memory"]
    assert "WRONG: case: off" in capsys.readouterr().out
    assert script.finish() == "2 failures"
    with pytest.raises(ZeroDivisionError):  # a mistake in the benchmark is not hidden
        script.attempt("case", lambda: 1 / 0)


def python(code, limit_s=60, takes_out=False):
    return Part(limit_s, ("-c", code), takes_out)


def test_parts_run_one_after_the_other_and_the_end_repeats(tmp_path, capfd):
    parts = {
        "good": python("import sys; print(sys.argv[1:])", takes_out=True),
        "bad": python("print('x' * 9); print('WRONG: off'); raise SystemExit(3)"),
        "late": python("import time; print('begun', flush=True); time.sleep(60)", limit_s=2),
        "last": python("import swift_bon, swift_kernels; print('{\"WRONG\": 1}')"),
    }
    assert run_parts(parts, tmp_path / "out") == "failed: bad (3), late (stopped after 2 s)"
    lines = capfd.readouterr().out.splitlines()
    assert f"['--out', '{tmp_path / 'out'}']" in lines and "begun" in lines
    assert lines[-1] == "bad: WRONG: off"
    assert (tmp_path / "out/log.txt").read_text().splitlines() == lines
    assert run_parts({"good": parts["good"]}, tmp_path / "out") == 0


def test_a_stopped_part_takes_its_processes_along(tmp_path):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; "
    code += "time.sleep(30)'])"
    assert run_parts({"late": python(code, limit_s=2)}, tmp_path) == (
        "failed: late (stopped after 2 s)"
    )


def test_the_parts_fit_into_one_call_and_exist():
    assert sum(part.limit_s for part in gpu.PARTS.values()) == gpu.TOTAL_S == 540
    assert gpu.chosen_parts(["step"])["step"].limit_s == 540
    assert gpu.chosen_parts(list(gpu.PARTS)) == gpu.PARTS
    for part in gpu.PARTS.values():
        for argument in part.arguments:
            if argument.endswith(".py") or argument.startswith("tests/"):
                assert (gpu.ROOT / argument).exists(), argument


def test_every_test_that_runs_a_kernel_runs_on_a_gpu():
    files = (gpu.ROOT / "tests").rglob("test_*.py")
    texts = {path.stem: path.read_text() for path in files if path.parent.name != "gpu"}
    kernels = {name for name, text in texts.items() if "reference_inputs" in text}
    kernels -= {"test_program_order", "test_bench_scripts"}  # the interpreter's alone, and this
    kernels -= {name for name in kernels if re.search("head|pickle|checkpoint", name)}  # files
    assert kernels <= {f"test_{name}" for name in gpu.TESTS}


def test_the_end_has_the_tables(tmp_path):
    form = {"p50_us": 4.25, "host_us": 21.0, "method": "graph"}
    row = {"shape": "Abacus-8B", "num_candidates": 16, "floor_us": 1.5}
    row["forms"] = {"swift_kernels": form, "eager": form}
    header = {"device": "H200", "python": "3", "torch": "2", "commit": None, "date": "today"}
    record = {"machine": header | {"cuda": "13.0"}, "rows": [row], "complete": False}
    (tmp_path / "step.json").write_text(json.dumps(record))
    lines = gpu.summary(tmp_path)
    assert "| Abacus-8B | 16 | 1.5 | 4.2 | 21.0 | 4.2 | 21.0 |" in lines
    assert "The run was stopped before its end: inputs are missing." in lines
    assert "" not in lines


def test_no_gpu_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="no GPU"):
        gpu.main()


def test_scores_while_generating_are_checked(monkeypatch):
    model = build_policy("Llama-3.1-8B", "cpu", small=True).float()
    head = RewardHead(3, 64)
    subject = generate_overhead.Subject("tiny", model, head, left_padded_prompts())
    row = generate_overhead.measure(subject, 8, 5, 2)
    assert row["score_error_of_spread"] < generated_scores.TOLERANCES[torch.float32]
    update = RunningScore.update

    def other_layers(self, states, active):
        update(self, states[::-1], active)

    monkeypatch.setattr(RunningScore, "update", other_layers)
    with pytest.raises(WrongAnswer, match="scores while generating"):
        generate_overhead.measure(subject, 8, 5, 2)


def left_padded_prompts():
    mask = torch.ones(8, 6, dtype=torch.long)
    mask[::2, :2] = 0
    return {"input_ids": (torch.arange(48) + 1).view(8, 6) * mask, "attention_mask": mask}


def test_an_evaluation_is_kept_with_its_machine(tmp_path):
    path = tmp_path / "candidates.jsonl"
    append_candidates(path, random_prompts(4, 3))
    evaluate.main([str(path), "--out", str(tmp_path)])
    record = json.loads((tmp_path / "evaluate_basics_test.json").read_text())
    assert record["swift"] == evaluate_candidates(random_prompts(4, 3))["swift"]
    assert record["machine"]["torch"] == torch.__version__
    assert (tmp_path / "evaluate_basics_test.png").read_bytes().startswith(b"\x89PNG")
