"""The tables of an evaluation on a terminal."""

import io

import pytest
from rich.console import Console

from evaluation_cases import PROMPTS, random_prompts
from swift_bon.evaluation import evaluate_candidates
from swift_bon.evaluation_tables import print_evaluation, shown_ks


def printed(record, width: int = 200) -> str:
    out = io.StringIO()
    print_evaluation(record, Console(file=out, width=width))
    return out.getvalue()


def test_everything_is_printed():
    record = evaluate_candidates(random_prompts(30, 4))
    text = printed(record)
    rows = [
        line for line in text.split("against the others")[0].splitlines() if line.count("│") > 3
    ]
    for method, line in zip(record["methods"], rows, strict=True):
        name = method["name"]
        assert method["label"] in line
        assert f"{record[name]:.3f}" in line
        assert "{:.3f} to {:.3f}".format(*record["intervals"][name]) in line
    assert f"{record['auroc']['swift']:.3f}" in text
    within, low, high = record["auroc_within"]["swift"]
    assert f"{within:.3f} │ {low:.3f} to {high:.3f}" in text
    for name, p in record["p_values"].items():
        assert f"{record['differences'][name][0]:+.3f}" in text
        assert f"{p:.4f}" in text
    assert "30 groups of prompts" in text


def test_what_is_unusual_is_said():
    text = printed(evaluate_candidates(PROMPTS))
    assert "3 prompts have fewer than 4 candidates" in text
    assert "1 candidates have no score 'swift'" in text
    assert "swift / random: 1.60x" in text
    assert "nan" not in text
    usual = printed(evaluate_candidates(random_prompts(5, 2)))
    assert "fewer" not in usual
    assert "no score" not in usual


def test_narrow_terminals_keep_the_numbers():
    record = evaluate_candidates(random_prompts(30, 4))
    assert f"{record['swift']:.3f}" in printed(record, width=80)


@pytest.mark.parametrize(
    ("num", "most", "expected"),
    [
        (1, 6, [1]),
        (2, 6, [1, 2]),
        (8, 6, [1, 2, 4, 8]),
        (6, 6, [1, 2, 4, 6]),
        (64, 6, [2, 4, 8, 16, 32, 64]),
        (8, 3, [2, 4, 8]),
    ],
)
def test_ks_that_are_shown(num, most, expected):
    assert shown_ks(list(range(1, num + 1)), most) == expected
