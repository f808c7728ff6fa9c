"""The best candidate of each prompt, against tables made by hand and a loop in plain Python."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swift_kernels import select_best
from swift_kernels.selection import first_best

NAN, INF = math.nan, math.inf

TABLE = {  # scores, num_return_sequences, rows
    "one_prompt": ([0.1, 0.9, 0.5], 3, [1]),
    "two_prompts": ([0.1, 0.9, 0.5, 3.0, 2.0, 1.0], 3, [1, 3]),
    "one_candidate_each": ([0.3, NAN, -INF], 1, [0, 1, 2]),
    "ties_take_the_first": ([0.0, 7.0, 7.0, 7.0, 5.0, 5.0, 5.0, 5.0], 4, [1, 4]),
    "negative": ([-3.0, -1.0, -2.0], 3, [1]),
    "infinity_wins": ([1.0, INF, 2.0], 3, [1]),
    "nan_never_wins": ([NAN, 1.0, NAN, 2.0, NAN, NAN], 3, [1, 3]),
    "nan_loses_to_minus_infinity": ([NAN, -INF, NAN], 3, [1]),
    "no_scored_token_at_all": ([-INF, -INF], 2, [0]),
    "all_nan_takes_the_first": ([1.0, 2.0, NAN, NAN], 2, [1, 2]),
    "zero_and_minus_zero_tie": ([-0.0, 0.0], 2, [0]),
    "no_prompt": ([], 4, []),
}


@pytest.mark.parametrize("case", TABLE)
def test_table(case):
    scores, num_return_sequences, rows = TABLE[case]
    best = select_best(torch.tensor(scores), num_return_sequences)
    assert best.dtype == torch.int64
    assert best.tolist() == rows


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_dtypes(dtype):
    assert select_best(torch.tensor([1, 3, 3, 2], dtype=dtype), 2).tolist() == [1, 2]


def test_strides():
    scores = torch.tensor([0.0, 9.0, 1.0, 9.0, 3.0, 9.0, 2.0, 9.0])[::2]
    assert select_best(scores, 2).tolist() == [1, 2]
    assert select_best(torch.tensor([1.0]).expand(4), 2).tolist() == [0, 2]


def test_scores_are_left_alone():
    scores = torch.tensor([NAN, 1.0, 2.0, NAN], requires_grad=True)
    before = scores.detach().clone()
    assert select_best(scores, 2).tolist() == [1, 2]
    assert torch.equal(scores.detach().nan_to_num(7), before.nan_to_num(7))


def best_in_python(scores: list[float]) -> int:
    best = None
    for position, score in enumerate(scores):
        if not math.isnan(score) and (best is None or score > scores[best]):
            best = position
    return 0 if best is None else best


few_scores = st.sampled_from([NAN, -INF, -1.5, 0.0, 1.5, INF])  # ties and NaN are common
any_score = st.floats(width=32)


@given(st.integers(1, 6), st.data())
def test_equals_a_loop(num_return_sequences, data):
    prompt = st.lists(few_scores | any_score, min_size=num_return_sequences)
    prompt = prompt.map(lambda scores: scores[:num_return_sequences])
    prompts = data.draw(st.lists(prompt, max_size=5))
    flat = torch.tensor([score for scores in prompts for score in scores], dtype=torch.float32)
    expected = [
        row * num_return_sequences + best_in_python(scores) for row, scores in enumerate(prompts)
    ]
    assert select_best(flat, num_return_sequences).tolist() == expected


@given(st.lists(st.lists(few_scores, min_size=4, max_size=4), min_size=1, max_size=5), st.data())
def test_first_best_of_those_that_may_win(rows, data):
    flags = st.lists(st.booleans(), min_size=4, max_size=4)
    may_win = [data.draw(flags) for _ in rows]
    expected = []
    for row, allowed in zip(rows, may_win, strict=True):
        allowed = [flag and not math.isnan(score) for flag, score in zip(allowed, row, strict=True)]
        scores = [score if flag else NAN for score, flag in zip(row, allowed, strict=True)]
        expected.append(best_in_python(scores) if any(allowed) else -1)
    scores = torch.tensor(rows)
    first = first_best(scores, torch.tensor(may_win) & ~scores.isnan())
    assert first.dtype == torch.int64
    assert first.tolist() == expected


ERRORS = {
    "list": ([0.1, 0.2], 2, TypeError, "^scores is list"),
    "two_dims": (torch.ones(2, 2), 2, ValueError, r"^scores has shape \(2, 2\)"),
    "no_multiple": (torch.ones(5), 2, ValueError, r"^scores has shape \(5,\).*= 2"),
    "zero": (torch.ones(4), 0, ValueError, "^num_return_sequences is 0"),
    "negative": (torch.ones(4), -1, ValueError, "^num_return_sequences is -1"),
    "float": (torch.ones(4), 2.0, TypeError, "^num_return_sequences is 2.0"),
    "bool": (torch.ones(4), True, TypeError, "^num_return_sequences is True"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    scores, num_return_sequences, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        select_best(scores, num_return_sequences)
