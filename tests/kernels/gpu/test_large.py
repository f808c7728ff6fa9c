"""Sizes of real models, and more elements in one layer than 32 bits can count."""

import pytest
import torch

from reference_gradients import weighted_loss
from reference_inputs import (
    DEVICE,
    assert_accurate,
    cumulative_lengths,
    each_candidate,
    eager_scores,
    exact_scores,
    random_head,
)
from swift_kernels import RunningScore, score_candidates, score_packed

LLAMA_8B = (33, 4096)


def made_on_the_gpu(shape, dtype=torch.bfloat16, seed=1):
    """L tensors, as `random_layers` makes them, but where there is the memory for them."""
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return [
        torch.randn(shape[1:], generator=generator, device=DEVICE, dtype=dtype)
        for _ in range(shape[0])
    ]


def one_by_one(scores_of, layers, head, mask, candidates):
    """Exact or eager scores of some candidates, with no more memory than one of them takes."""
    scores = [
        scores_of([layer[n : n + 1] for layer in layers], head, mask[n : n + 1]) for n in candidates
    ]
    return torch.cat(scores)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("num_candidates, num_tokens", [(1, 1), (4, 128), (16, 513)])
def test_llama_8b(num_candidates, num_tokens, dtype):
    head = random_head(*LLAMA_8B).requires_grad_(False)
    num_layers, hidden_size = LLAMA_8B
    layers = made_on_the_gpu((num_layers, num_candidates, num_tokens, hidden_size), dtype)
    lengths = torch.arange(num_candidates, device=DEVICE)[:, None] * 31 % num_tokens
    mask = torch.arange(num_tokens, device=DEVICE) >= lengths  # left padding
    for layer in layers:
        layer[~mask] = float("nan")
    scores = score_candidates(layers, head, mask)
    for layer in layers:
        layer[~mask] = 0
    every = range(num_candidates)
    limits = (one_by_one(f, layers, head, mask, every) for f in (exact_scores, eager_scores))
    assert_accurate(scores, *limits)


@pytest.mark.parametrize("num_candidates", [1, 16, 64, 256])
def test_step_of_llama_8b(num_candidates):
    num_layers, hidden_size = LLAMA_8B
    head = random_head(*LLAMA_8B).requires_grad_(False)
    step = made_on_the_gpu((num_layers, num_candidates, 1, hidden_size))
    score = RunningScore(head, num_candidates)
    score.update(step, torch.ones(num_candidates, dtype=torch.bool, device=DEVICE))
    assert_accurate(score.scores(), exact_scores(step, head), eager_scores(step, head))


def test_gradients_of_llama_8b():
    num_layers, hidden_size = LLAMA_8B
    head = random_head(*LLAMA_8B)
    layers = made_on_the_gpu((num_layers, 4, 300, hidden_size))
    weighted_loss(score_candidates(layers, head)).backward()
    actual = [parameter.grad for parameter in head.parameters()]
    head.zero_grad()
    weighted_loss(eager_scores(layers, head)).backward()
    eager = [parameter.grad for parameter in head.parameters()]
    head = random_head(*LLAMA_8B).double()
    weighted_loss(exact_scores(layers, head)).backward()
    for one, other, parameter in zip(actual, eager, head.parameters(), strict=True):
        assert_accurate(one.flatten(), parameter.grad.flatten(), other.flatten())


NUM_CANDIDATES, NUM_TOKENS, HIDDEN_SIZE = 64, 8192, 4224  # 2.2e9 elements


@pytest.fixture(scope="module")
def large():
    head = random_head(1, HIDDEN_SIZE)
    return head, made_on_the_gpu((1, NUM_CANDIDATES, NUM_TOKENS, HIDDEN_SIZE))


def test_more_elements_than_32_bits_count(large):
    head, layers = large
    mask = torch.ones(NUM_CANDIDATES, NUM_TOKENS, dtype=torch.bool, device=DEVICE)
    with torch.no_grad():
        scores = score_candidates(layers, head, mask)
        some = [0, 1, 31, 62, 63]
        limits = (one_by_one(f, layers, head, mask, some) for f in (exact_scores, eager_scores))
        assert_accurate(scores[some], *limits)


def test_packed_of_more_elements_than_32_bits_count(large):
    head, layers = large
    lengths = [NUM_TOKENS // 2, NUM_TOKENS * (NUM_CANDIDATES - 1), NUM_TOKENS // 2]
    cu_seqlens = cumulative_lengths(lengths)
    flat = [layer.flatten(0, 1) for layer in layers]
    with torch.no_grad():
        scores = score_packed(flat, head, cu_seqlens)[[0, 2]]
        ends = [
            layer[index]
            for layer in flat
            for index in (slice(lengths[0]), slice(-lengths[2], None))
        ]
        ends = [torch.cat(ends)]
        own = (ends, head, cumulative_lengths([lengths[0], lengths[2]]))
        limits = (each_candidate(f, *own) for f in (exact_scores, eager_scores))
        assert_accurate(scores, *limits)


@pytest.mark.parametrize("is_turned", [False, True], ids=["flat", "tokens_first"])
def test_gradients_of_more_elements_than_32_bits_count(large, is_turned):
    """Only the last candidate asks for a gradient, so that a wrong row would show."""
    head, layers = large
    if is_turned:  # the same memory, with the tokens on the outside
        layers = [layer.view(NUM_TOKENS, NUM_CANDIDATES, -1).transpose(0, 1) for layer in layers]
    scores = score_candidates(layers, head)
    actual = torch.autograd.grad(scores[-1], list(head.parameters()))
    last = [layer[-1:] for layer in layers]
    eager = torch.autograd.grad(eager_scores(last, head)[0], list(head.parameters()))
    double = random_head(1, HIDDEN_SIZE).double()
    exact = torch.autograd.grad(exact_scores(last, double)[0], list(double.parameters()))
    for one, exact_one, other in zip(actual, exact, eager, strict=True):
        assert_accurate(one.flatten(), exact_one.flatten(), other.flatten())
