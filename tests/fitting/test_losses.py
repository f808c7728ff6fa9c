"""Losses against their definition, in plain Python prompt by prompt, and what padding may do."""

import math
import textwrap
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from swift_bon.fitting import losses
from swift_bon.fitting.losses import DEFAULT_ALPHA, LOSSES

NAN, INF = float("nan"), float("inf")
ALPHA = 0.7  # soft enough that a wrong candidate has a visible share of the target
NAMES = sorted(LOSSES)

candidates = st.tuples(st.floats(-6, 6), st.booleans())
batches = st.lists(st.lists(candidates, min_size=1, max_size=6), min_size=1, max_size=5)
RIGHT_AND_WRONG = [(0.5, True), (-1.2, False), (2.0, False)]
RAGGED = [
    RIGHT_AND_WRONG,
    [(1.5, True), (-0.5, True)],
    [(0.3, False), (0.2, False), (0.1, False), (-2.0, False)],
    [(-0.7, True)],
    [(3.0, True), (1.0, False), (1.0, True), (-1.0, False), (0.0, False)],
]


def log_sigmoid(x: float) -> float:
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


def brute_force(name: str, prompt: list[tuple[float, bool]], alpha: float) -> tuple[float, int]:
    """Sum of the terms of one prompt, and their number."""
    right = [s for s, correct in prompt if correct]
    wrong = [s for s, correct in prompt if not correct]
    pairs = [-log_sigmoid(i - j) for i in right for j in wrong]
    if name == "bce":
        return sum(-log_sigmoid(s if correct else -s) for s, correct in prompt), len(prompt)
    if name == "hinge":
        return sum(max(0.0, 1 - (s if correct else -s)) for s, correct in prompt), len(prompt)
    if name == "dpo":
        return sum(pairs), len(pairs)
    if name == "pairwise":
        return (sum(pairs) / len(pairs), 1) if pairs else (0.0, 0)
    if len(prompt) < 2:
        return 0.0, 0
    shares = [1.0 if correct or not right else math.exp(-1 / alpha) for _, correct in prompt]
    targets = [share / sum(shares) for share in shares]
    highest = max(s for s, _ in prompt)
    log_sum = highest + math.log(sum(math.exp(s - highest) for s, _ in prompt))
    total = 0.0
    for (s, _), target in zip(prompt, targets, strict=True):
        if name == "infonca":
            total -= target * (s - log_sum)
        else:
            total -= target * log_sigmoid(s) + log_sigmoid(-s) / len(prompt)
    return total, 1


def padded(batch, *, width=None, fill=0.0, fill_correct=False, dtype=torch.float64):
    """Scores `[1, P, N]`, correct and present `[P, N]`."""
    shape = (len(batch), width or max(len(prompt) for prompt in batch))
    scores = torch.full((1, *shape), fill, dtype=dtype)
    correct, present = torch.full(shape, fill_correct), torch.zeros(shape, dtype=torch.bool)
    for row, prompt in enumerate(batch):
        for column, (score, is_correct) in enumerate(prompt):
            scores[0, row, column], correct[row, column] = score, is_correct
            present[row, column] = True
    return scores, correct, present


def total_and_gradient(name, scores, correct, present, alpha=ALPHA):
    scores = scores.clone().requires_grad_()
    total = LOSSES[name].total(scores, correct, present, alpha)
    (gradient,) = torch.autograd.grad(total.sum(), scores)
    return total.detach(), gradient


@pytest.mark.parametrize("name", NAMES)
@given(batch=batches, alpha=st.sampled_from([ALPHA, 0.1, DEFAULT_ALPHA]))
def test_total_and_count_are_those_of_brute_force(name, batch, alpha):
    scores, correct, present = padded(batch)
    terms = [brute_force(name, prompt, alpha) for prompt in batch]
    total = LOSSES[name].total(scores, correct, present, alpha)
    count = LOSSES[name].count(correct, present)
    assert total.tolist() == pytest.approx([sum(t for t, _ in terms)], rel=1e-12, abs=1e-12)
    assert count.dtype == torch.float64
    assert count.tolist() == [number for _, number in terms]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompt", [RIGHT_AND_WRONG, RAGGED[4]], ids=["three", "five"])
def test_docstring_holds(name, prompt):
    """The definition of the module's docstring is run as it stands."""
    block = losses.__doc__.split("\n\n    ", 1)[1].split("\n\n`bce` and", 1)[0]
    scores, correct, present = padded([prompt])
    functions = ("logsigmoid", "log_softmax", "relu", "softmax")
    names = {function: getattr(functional, function) for function in functions}
    names |= {"s": scores[0, 0], "y": correct[0].double(), "alpha": ALPHA}
    exec(textwrap.dedent("    " + block), names)
    total = LOSSES[name].total(scores, correct, present, ALPHA)
    assert float(total) == pytest.approx(float(names[name]), rel=1e-12)
    assert float(total) == pytest.approx(brute_force(name, prompt, ALPHA)[0], rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompts_a_part", [1, 2, 4])
def test_parts_sum_to_the_whole(name, prompts_a_part):
    whole, whole_gradient = total_and_gradient(name, *padded(RAGGED))
    total, num_terms = torch.zeros(1, dtype=torch.float64), 0.0
    for first in range(0, len(RAGGED), prompts_a_part):
        part = RAGGED[first : first + prompts_a_part]  # each padded to its own width
        scores, correct, present = padded(part)
        part_total, gradient = total_and_gradient(name, scores, correct, present)
        total += part_total
        num_terms += float(LOSSES[name].count(correct, present).sum())
        expected = whole_gradient[:, first : first + prompts_a_part, : scores.shape[2]]
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(total, whole, rtol=1e-12, atol=0)
    _, correct, present = padded(RAGGED)
    assert num_terms == float(LOSSES[name].count(correct, present).sum())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fill_correct", [False, True], ids=["wrong", "right"])
@pytest.mark.parametrize("fill", [NAN, INF, -INF, 1e30])
def test_padding_changes_nothing(name, fill, fill_correct):
    batch = [*RAGGED, []]  # the last prompt is nothing but padding
    scores, correct, present = padded(batch, width=7, fill=fill, fill_correct=fill_correct)
    with torch.autograd.set_detect_anomaly(True, check_nan=True):  # not even on the way back
        total, gradient = total_and_gradient(name, scores, correct, present)
    alone = [total_and_gradient(name, *padded([prompt])) for prompt in RAGGED]
    torch.testing.assert_close(total, sum(value for value, _ in alone), rtol=1e-12, atol=0)
    assert (gradient[:, ~present] == 0).all()
    assert gradient.isfinite().all()
    for row, (_, expected) in enumerate(alone):
        kept = gradient[:, row, : expected.shape[2]]
        torch.testing.assert_close(kept, expected[:, 0], rtol=1e-12, atol=1e-15)
    count = LOSSES[name].count(correct, present)
    assert count.tolist() == [brute_force(name, prompt, ALPHA)[1] for prompt in batch]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_differences(name):
    scores, correct, present = padded(RAGGED, width=6)
    scores = scores + 0.03  # off the corner of the hinge
    heads = torch.cat([scores, scores.flip(1) * 0.4 + 0.1]).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: LOSSES[name].total(s, correct, present, ALPHA), (heads,)
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("batch", "silent"),
    [
        ([[(0.5, True), (-1.0, True)]], {"dpo", "pairwise"}),
        ([[(0.5, False), (-1.0, False)]], {"dpo", "pairwise"}),
        ([[(0.5, True)], [(0.5, False)]], {"dpo", "pairwise", "infonca", "nca"}),
    ],
    ids=["all right", "all wrong", "one candidate"],
)
def test_prompts_without_a_comparison_teach_nothing(name, batch, silent):
    scores, correct, present = padded(batch)
    total, gradient = total_and_gradient(name, scores, correct, present)
    count = LOSSES[name].count(correct, present)
    is_silent = name in silent
    assert bool((count == 0).all()) == is_silent
    assert bool((total == 0).all()) == is_silent
    assert bool((gradient == 0).all()) == is_silent


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("alpha", [1e-300, DEFAULT_ALPHA, 1e6])
def test_extreme_scores_stay_finite(name, dtype, alpha):
    labels = [(True, False, True, False), (True, False, False, False), (False, False, True, True)]
    values = (1e4, -1e4, -1e4, 1e4)
    batch = [list(zip(values, row, strict=True)) for row in labels]
    total, gradient = total_and_gradient(name, *padded(batch, width=5, dtype=dtype), alpha)
    expected = sum(brute_force(name, prompt, alpha)[0] for prompt in batch)
    assert total.dtype == dtype
    assert total.tolist() == pytest.approx([expected], rel=1e-6)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("score", [40.0, -11.0, -21.0])
def test_tails_are_exact(name, score):
    """A log-sigmoid keeps its tail, where a rounded sigmoid has the logarithm 0."""
    batch = [[(score, True), (-score, False)]]
    total = LOSSES[name].total(*padded(batch), DEFAULT_ALPHA)
    assert float(total) == pytest.approx(
        brute_force(name, batch[0], DEFAULT_ALPHA)[0], rel=1e-13, abs=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_heads_do_not_see_each_other(name):
    scores, correct, present = padded(RAGGED)
    draw = torch.Generator().manual_seed(0)
    heads = torch.randn(3, *scores.shape[1:], generator=draw, dtype=torch.float64)
    totals, gradients = total_and_gradient(name, heads, correct, present)
    assert totals.shape == (3,)
    for number in range(3):
        alone = total_and_gradient(name, heads[number : number + 1], correct, present)
        torch.testing.assert_close(totals[number : number + 1], alone[0], rtol=1e-12, atol=0)
        torch.testing.assert_close(gradients[number : number + 1], alone[1], rtol=1e-12, atol=0)
    heads[1] = NAN  # a head that diverged leaves the others alone
    damaged, _ = total_and_gradient(name, heads, correct, present)
    assert damaged.isnan().tolist() == [False, True, False]
    assert damaged[[0, 2]].tolist() == pytest.approx(totals[[0, 2]].tolist(), rel=1e-12)


@pytest.mark.parametrize("name", ["infonca", "nca"])
def test_alpha_softens_the_labels(name):
    batch = padded([RIGHT_AND_WRONG])
    hard, soft = (LOSSES[name].total(*batch, alpha) for alpha in (DEFAULT_ALPHA, 1.0))
    assert abs(float(hard - soft)) > 0.01


def test_an_editor_knows_the_losses_by_name():
    assert get_args(losses.LossName) == tuple(losses.LOSSES)
