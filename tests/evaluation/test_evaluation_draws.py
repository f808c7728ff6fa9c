"""What an evaluation draws: groups as a whole, by its seed, in parts."""

import pytest
import torch

from evaluation_cases import random_prompts
from swift_bon.candidates.files import append_candidates, write_header
from swift_bon.evaluation import record as evaluation_record
from swift_bon.evaluation.candidate_table import tabulate
from swift_bon.evaluation.comparison import evaluate, evaluate_candidates
from swift_bon.statistics import (
    Bootstrap,
    auroc,
    best_of_k_accuracy,
    cross_validated_blend,
    permutation_p_value,
)
from swift_bon.tasks.registry import load_task


def test_many_prompts_are_taken_in_parts(monkeypatch):
    prompts = random_prompts(30, 4)
    whole = evaluate_candidates(prompts)
    monkeypatch.setattr(evaluation_record, "CHUNK_ELEMENTS", 1)
    parts = evaluate_candidates(prompts)
    for name, curve in whole["curves"].items():
        for part, values in curve.items():
            assert parts["curves"][name][part] == pytest.approx(values)


def test_the_seed_is_that_of_the_permutations_too():
    prompts = random_prompts(60, 3)
    first, second = (evaluate_candidates(prompts, seed=seed) for seed in (0, 1))
    assert first["p_values"] != second["p_values"]


def test_the_same_seed_gives_the_same_record():
    prompts = random_prompts(40, 14)  # more than are enumerated
    assert evaluate_candidates(prompts) == evaluate_candidates(prompts)
    other = evaluate_candidates(prompts, seed=1)
    assert other["intervals"] != evaluate_candidates(prompts)["intervals"]
    vote = [
        curve["curves"]["majority_vote"]["accuracy"]
        for curve in (other, evaluate_candidates(prompts))
    ]
    assert vote[0] != vote[1]
    assert vote[0][-1] == pytest.approx(vote[1][-1])


def test_questions_of_one_fact_are_drawn_together(tmp_path):
    """The header's task says which; without a header, prompts of the same text."""
    questions = [q for q in load_task("basics").questions("test") if q.kind == "capital"][:40]
    made = random_prompts(len(questions), 3)
    renamed = [
        type(p)(q.id, q.prompt, q.reference, p.candidates)
        for p, q in zip(made, questions, strict=True)
    ]
    path = tmp_path / "a.jsonl"
    append_candidates(path, renamed)
    alone = evaluate(path)
    assert alone["num_groups"] == len(questions)
    assert alone["candidates"] is None
    header = {"model": "m", "task": "basics", "split": "test"}
    write_header(path, header)
    record = evaluate(path)
    groups = [load_task("basics").group(q.id) for q in questions]
    assert record["num_groups"] == len(set(groups)) < len(questions)
    assert record["candidates"] == header
    assert record["swift"] == alone["swift"]
    check_groups_are_kept(record, renamed, groups)


def check_groups_are_kept(record, prompts, groups) -> None:
    """Intervals, p-values and the blend's folds are those of whole groups."""
    table = tabulate(prompts)
    first_seen = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    numbers = torch.tensor([first_seen[group] for group in groups])
    swift = best_of_k_accuracy(table.scores["swift"], table.correct)[:, -1]
    random = table.correct.double().mean(dim=1)
    bootstrap = Bootstrap(len(prompts), numbers)
    assert record["intervals"]["swift"] == pytest.approx(bootstrap.interval(swift)[1:])
    alone = Bootstrap(len(prompts)).interval(swift)[1:]
    assert record["intervals"]["swift"] != pytest.approx(alone)
    gain = record["differences"]["swift - random"]
    assert gain == pytest.approx(bootstrap.interval(swift - random))
    p_value = record["p_values"]["swift - random"]
    assert p_value == permutation_p_value(swift - random, numbers)
    assert p_value != permutation_p_value(swift - random)
    features = torch.stack([table.scores["swift"], table.scores["mean_logprob"]], dim=-1)
    blended = cross_validated_blend(features, table.correct, groups)
    name = "swift+mean_logprob blended"
    assert record["auroc"][name] == auroc(blended.flatten(), table.correct.flatten())
    apart = cross_validated_blend(features, table.correct, [p.id for p in prompts])
    assert record["auroc"][name] != auroc(apart.flatten(), table.correct.flatten())
