"""The tables of evaluations and of graders, from hand-made records."""

from evaluation_cases import random_prompts
from swift_bon.evaluation.comparison import evaluate_candidates
from table_cases import CPU, render, write


def test_evaluation(tmp_path):
    record = {**evaluate_candidates(random_prompts(10, 3)), "machine": CPU}
    write(tmp_path, "abacus", "evaluate_basics_test", record)
    text = render("evaluation", tmp_path)
    assert "10 questions in 10 groups, 3 samples each. 2 CPU cores, Abacus" in text
    assert "| answer taken | k = 1 | k = 2 | k = 3 |" in text
    curve = record["curves"]["swift"]
    accuracy, low, high = (curve[key][2] for key in ("accuracy", "low", "high"))
    last = f"{accuracy:.3f}<br><sub>{low:.3f} to {high:.3f}</sub>"
    lines = [line for line in text.splitlines() if line.startswith("| **SWIFT's pick** |")]
    (row,) = (line for line in lines if "<br>" in line)
    assert row.endswith(f"{last} |")
    gain = record["differences"]["swift - majority_vote"]
    p = record["p_values"]["swift - majority_vote"]
    assert "| majority vote | {:+.3f} ({:+.3f} to {:+.3f}) |".format(*gain) + f" {p:.4f} |" in text
    assert f"| {record['auroc']['swift']:.3f} |" in text
    ratio = record["swift_over_random"][0]
    assert f"{ratio:.2f} times as often" in text
    assert text.count("| oracle (any right one) |") == 1  # it is not compared


def test_graders(tmp_path):
    row = {"rows": 500, "gold_right": 499, "unboxed_right": 498, "others": 2000}
    row |= {"others_wrong": 1984, "others_same": 15, "others_equal": ["a: 5 and x=5"]}
    row |= {"grade_s": 2.93}
    record = {"machine": CPU, "gsm8k": {**row, "others_equal": []}, "math500": row}
    write(tmp_path, "abacus", "check_graders", record)
    text = render("graders", tmp_path)
    same = "499 of 500 | 498 | 1,984 of 2,000 | 15"
    assert f"| GSM8K, test | {same} | none | 2.9 s |" in text
    assert f"| MATH-500 | {same} | a: 5 and x=5 | 2.9 s |" in text
    assert "2 CPU cores, Abacus" in text


def test_evaluation_speed(tmp_path):
    record = {"machine": CPU, "num_prompts": 500, "num_candidates": 64, "num_tokens": 300}
    record |= {"file_bytes": 285_507_823, "num_methods": 13, "num_draws": 2000, "seconds": 15.04}
    record |= {"peak_resident_bytes": 2**29, "page_bytes": 10_706_667}
    write(tmp_path, "abacus", "evaluation_speed", record)
    text = render("evaluation-speed", tmp_path)
    assert "64 candidates of 300 tokens (286 MB), 13 methods, 2,000 draws: 15.0 s and 0.50" in text
    assert "a page of 10.7 MB. 2 CPU cores, Abacus" in text
