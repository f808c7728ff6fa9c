"""The tables of an evaluation on a terminal."""

import io

import pytest
from rich.console import Console

from evaluation_cases import PROMPTS, prompt, random_prompts
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.evaluation.comparison import evaluate_candidates
from swift_bon.evaluation.number_texts import p_text
from swift_bon.evaluation.terminal_tables import print_evaluation, shown_ks


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
        assert p_text(p) in text
    assert "30 groups of prompts" in text


def test_what_is_unusual_is_said():
    text = printed(evaluate_candidates(PROMPTS))
    assert "3 prompts have fewer than 4 candidates" in text
    assert "SWIFT's pick: 1 candidates have no score, and lose to all that have one" in text
    assert "Of 4 groups no interval can be believed" in text
    assert "swift / random: 1.60x" in text
    assert "nan" not in text
    assert "nan" not in printed(evaluate_candidates([PROMPTS[2]]))  # none is right
    usual = printed(evaluate_candidates(random_prompts(5, 2)))
    assert "fewer" not in usual
    assert "no score" not in usual
    assert "random subsets" not in usual
    drawn = printed(evaluate_candidates(random_prompts(12, 13)))
    assert "averaged over random subsets for k from 2 to 12" in drawn
    assert "no interval can be believed" not in drawn
    unscored = printed(evaluate_candidates([*PROMPTS, prompt("e", [(True, None, -1.0)] * 2)]))
    assert "SWIFT's pick: 1 prompts have none, there the pick is random." in unscored


def test_the_reference_is_bold():
    record = evaluate_candidates(random_prompts(5, 2), reference="length")
    out = io.StringIO()
    print_evaluation(record, Console(file=out, width=200, force_terminal=True))
    (line,) = (row for row in out.getvalue().splitlines() if "\x1b[1m" in row and "shortest" in row)
    assert f"{record['length']:.3f}" in line


def test_names_are_no_markup():
    rows = [StoredCandidate("a", [1], n == 1, None, {"[bold]x": n, "[/y]": -n}) for n in (0, 1)]
    text = printed(evaluate_candidates([PromptCandidates("a", "p", "", rows)]))
    assert "[bold]x" in text
    assert "[/y]" in text


@pytest.mark.parametrize(
    ("p_value", "text"), [(1 / 10_001, "< 0.0001"), (2 / 10_001, "0.0002"), (1.0, "1.0000")]
)
def test_p_values_below_what_can_be_told(p_value, text):
    assert p_text(p_value) == text


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
