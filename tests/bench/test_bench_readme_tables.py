"""The README's two small tables, from hand-made records."""

import json

import tables
from evaluation_cases import random_prompts
from swift_bon.evaluation.comparison import evaluate_candidates
from table_cases import CPU


def render(name: str, record: dict, results) -> str:
    (results / "abacus").mkdir()
    (results / "abacus" / f"{tables.TABLES[name].record}.json").write_text(json.dumps(record))
    return tables.rewrite(f"<!-- table: {name} -->\n<!-- end of table -->\n", results)


def test_accuracies_are_those_of_the_largest_k(tmp_path):
    record = {**evaluate_candidates(random_prompts(10, 3)), "machine": CPU}
    text = render("readme-accuracies", record, tmp_path)
    assert "10 questions in 10 groups. 2 CPU cores, Abacus, torch 2.11.0" in text
    assert "| answer taken | best of 3 | 95% interval |" in text
    curve = record["curves"]["swift"]
    accuracy, low, high = (curve[key][2] for key in ("accuracy", "low", "high"))
    assert f"| SWIFT's pick | {accuracy:.3f} | {low:.3f} to {high:.3f} |" in text
    assert text.count("\n| ") == 2 + 5
    gain = record["differences"]["swift - mean_logprob"]
    assert "over the most likely sample: {:+.3f} ({:+.3f} to {:+.3f}).".format(*gain) in text


def test_costs_are_over_one_head_and_times_are_not_made_up(tmp_path):
    models = [
        {"name": "small", "base": "Qwen", "flops": 2e12},
        {"name": "with head", "base": "Llama", "flops": 15e12},
        {"name": "large", "base": "Llama", "flops": 16e12},
    ]
    swift = [{"policy": "Llama-3.2-3B", "head": 1e9}, {"policy": "Llama-3.1-8B", "head": 2e9}]
    record = {"machine": CPU, "prompt_tokens": 128, "response_tokens": 512, "latency": None}
    record["flops"] = {"reward_models": models, "swift": swift}
    text = render("readme-costs", record, tmp_path)
    assert "128 prompt and 512 response tokens; the head is that of Llama-3.1-8B, 2.000 G" in text
    assert "Times: not measured." in text
    large = "| large, with head | Llama | 15.0 to 16.0 T | 7,500 to 8,000x |"
    assert f"{large}\n| small | Qwen | 2.0 T | 1,000x |" in text
