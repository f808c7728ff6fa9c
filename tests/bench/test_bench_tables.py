"""Tables are those of the records, and hand-made records render as they should."""

import pytest

import tables
from table_cases import CPU, FORM, GPU, INPUT, block, render, score_record, write
from tables import NOT_MEASURED, PAGES, TABLES, rewrite


def test_the_readme_is_that_of_the_records():
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    for text in texts:
        assert rewrite(text, tables.RESULTS) == text, "run `make tables`"
    names = [match[1] for text in texts for match in tables.BLOCK.findall(text)]
    assert sorted(names) == sorted(TABLES)  # each once


@pytest.mark.parametrize("name", TABLES)
def test_without_a_record_it_says_not_measured(tmp_path, name):
    assert render(name, tmp_path) == block(name, f"\n{NOT_MEASURED}\n")


def test_rewriting_twice_changes_nothing_and_a_new_number_is_noticed(tmp_path):
    record = score_record(CPU)
    write(tmp_path, "abacus", "score", record)
    text = render("score-cpu", tmp_path)
    assert rewrite(text, tmp_path) == text
    record["rows"][0]["speedup"]["eager"] = 5.0
    write(tmp_path, "abacus", "score", record)
    assert rewrite(text, tmp_path) != text


def test_a_cpu_record_does_not_fill_a_gpu_table(tmp_path):
    write(tmp_path, "abacus", "score", score_record(CPU))
    assert NOT_MEASURED in render("score-gpu", tmp_path)
    assert NOT_MEASURED not in render("score-cpu", tmp_path)


def test_score_on_a_cpu(tmp_path):
    write(tmp_path, "abacus", "score", score_record(CPU))
    text = render("score-cpu", tmp_path)
    rates = "7.0 GB/s | 5.0 GB/s | 6.0 GB/s | 4.0 GB/s"
    assert f"| Abacus-8B | bfloat16 | {rates} | 11.0x | 3.0x |" in text
    assert "2 CPU cores, Abacus, torch 2.11.0, python 3.12.0, commit 012345678, 2026-01-02." in text


def test_score_on_a_gpu(tmp_path):
    record = score_record(GPU)
    ours = record["rows"][0]["forms"]["swift_kernels"]
    ours["gb_per_s"] = 4000.0
    hidden = {**record["rows"][0], "num_candidates": 64, "num_tokens": 128}
    hidden["forms"] = {"swift_kernels": {**ours, "gb_per_s": 3822.0}}
    record["rows"].append({**hidden, "compiled_for": "any size"})
    record["rows"][0]["compiled_for"] = "this size"
    record["host_us"] = {"2 layers": 31.4}
    record["left_padded"] = {**record["rows"][0], "speedup": {}}
    write(tmp_path, "nvidia-h200", "score", record)
    text = render("score-gpu", tmp_path)
    values = "0.500 | 4,000 | 95% | 98% | 11.0x | 1.50x | 1.31x (own size) | 3.0 MiB"
    assert f"| Abacus-8B | 16 x 512 | bfloat16 | {values} |" in text
    assert "| Abacus-8B, half of it padding | 16 x 512 |" in text
    assert "64 x 128" not in text
    assert "the 2 inputs in bfloat16 with 8,192 tokens and more: 91% to 95%" in text
    assert "4,200 GB/s read (by amax)" in text and "31 us (2 layers)" in text


def test_a_peer_out_of_memory(tmp_path):
    record = score_record(GPU)
    del record["rows"][0]["speedup"]["eager"]
    record["rows"][0]["forms"]["eager"] = None
    write(tmp_path, "nvidia-h200", "score", record)
    assert "98% | - | 1.50x" in render("score-gpu", tmp_path)


def test_wrong_answers_show(tmp_path):
    record = {**score_record(CPU), "failures": ["a", "b"]}
    write(tmp_path, "abacus", "score", record)
    assert "2 inputs or forms failed" in render("score-cpu", tmp_path)
    write(tmp_path, "abacus", "score", {**record, "rows": []})
    assert f"{NOT_MEASURED}\n\n2 inputs or forms" in render("score-cpu", tmp_path)


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_stopped_run_shows(tmp_path, is_complete):
    write(tmp_path, "abacus", "score", {**score_record(CPU), "complete": is_complete})
    assert ("stopped before its end" in render("score-cpu", tmp_path)) is not is_complete


def test_train_step(tmp_path):
    forms = {"swift_kernels": FORM, "eager": None, "per_layer": {**FORM, "p50_ms": 1.25}}
    forms["other"] = None
    row = {**INPUT, "forms": forms, "speedup": {"per_layer": 2.5}}
    row["left_out"] = {"eager": "OutOfMemoryError: 9 GiB", "other": "wrong answer: 1e-2"}
    write(tmp_path, "nvidia-h200", "train_step", {"machine": GPU, "rows": [row]})
    text = render("train-step-gpu", tmp_path)
    assert "| Abacus-8B | bfloat16 | 16 x 512 | swift_kernels | 0.50 | 3 MiB | - |" in text
    assert "|  |  |  | eager | out of memory | - | - |" in text
    assert "|  |  |  | other | wrong answer | - | - |" in text
    assert "|  |  |  | per_layer | 1.25 | 3 MiB | 2.5x |" in text


def test_step(tmp_path):
    forms = {
        "swift_kernels": {"p50_us": 4.25, "host_us": 21.0, "method": "graph"},
        "eager": {"p50_us": 99.0, "host_us": 210.0},
    }
    row = {**INPUT, "floor_us": 1.5, "forms": forms}
    write(tmp_path, "nvidia-h200", "step", {"machine": GPU, "rows": [row]})
    text = render("step-gpu", tmp_path)
    assert "| Abacus-8B | 16 | 1.5 | 4.2 | 21.0 | 99.0 | 210.0 |" in text
    assert "Device times: a CUDA graph of many updates, replayed." in text


@pytest.mark.parametrize("extra, shown", [(None, "-"), (2**19, "0.50 MiB")])
def test_overhead(tmp_path, extra, shown):
    row = {
        "candidates": 16,
        "tokens_per_candidate": 64,
        "pairs": 6,
        "step_ms": 25.1,
        "step_ms_without_scoring": 25.0,
        "overhead_percent": 0.4,
        "overhead_percent_p25": -0.1,
        "overhead_percent_p75": 0.6,
        "update_percent": 0.123,
        "extra_peak_bytes": extra,
    }
    record = {"machine": GPU, "model": "Abacus-8B", "random_weights": True, "rows": [row]}
    write(tmp_path, "nvidia-h200", "generate_overhead", record)
    text = render("overhead-gpu", tmp_path)
    values = "25.00 ms | 25.10 ms | +0.40% | -0.10% to +0.60% | 0.12%"
    assert f"| 16 x 64 | {values} | {shown} |" in text
    assert "Abacus-8B with random weights, 6 pairs. NVIDIA H200" in text


@pytest.mark.parametrize(
    "text, problem",
    [
        (block("abacus"), "no table"),
        (block("step-gpu").replace("<!-- end of table -->", ""), "no partner"),
        (block("step-gpu") + "<!-- end of table -->", "no partner"),
        (block("step-gpu").replace("<!-- end of table -->", "") + block("step-cpu"), "no partner"),
    ],
)
def test_damaged_markers(tmp_path, text, problem):
    with pytest.raises(ValueError, match=problem):
        rewrite(text, tmp_path)


def test_check_says_stale_and_writes_nothing(monkeypatch, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(block("step-gpu"))
    monkeypatch.setattr(tables, "PAGES", (readme,))
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["tables.py", "--check"])
    with pytest.raises(SystemExit, match="README.md; run `make tables`"):
        tables.main()
    assert readme.read_text() == block("step-gpu")
    monkeypatch.setattr("sys.argv", ["tables.py"])
    tables.main()
    monkeypatch.setattr("sys.argv", ["tables.py", "--check"])
    with pytest.raises(SystemExit) as stopped:
        tables.main()
    assert stopped.value.code == 0
