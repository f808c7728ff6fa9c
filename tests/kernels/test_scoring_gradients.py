"""Gradients of the scores against float64 autograd of the definition."""

import pytest
import torch
import torch.utils.checkpoint

from reference_gradients import (
    assert_gradients_accurate,
    exact_head_gradients,
    head_gradients,
    state_gradients,
)
from reference_inputs import (
    BACKENDS,
    DEVICE,
    DTYPES,
    MASKS,
    eager_scores,
    exact_scores,
    fill_padding,
    random_head,
    random_layers,
)
from swift_kernels import score_candidates

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_head(backend, gated, mask, dtype):
    head = random_head(2, 77, gated=gated)
    layers = random_layers((2, 3, 19, 77), dtype)
    mask = MASKS[mask](3, 19)
    dirty = fill_padding(layers, mask)
    actual = head_gradients(score_candidates(dirty, head, mask, backend=backend), head)
    exact = exact_head_gradients(head, lambda double: exact_scores(layers, double, mask))
    eager = head_gradients(eager_scores(layers, head, mask), head)
    assert_gradients_accurate(actual, exact, eager)


def test_layers_of_a_subset(backend):
    head = random_head(4, 24, layers=[1, 3])
    layers = random_layers((4, 3, 7, 24))
    actual = head_gradients(score_candidates(layers, head, backend=backend), head)
    exact = exact_head_gradients(head, lambda double: exact_scores(layers[1::2], double))
    eager = head_gradients(eager_scores(layers[1::2], head), head)
    assert_gradients_accurate(actual, exact, eager)


def test_transposed_states(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))
    transposed = [layer.transpose(0, 1).contiguous().transpose(0, 1) for layer in layers]
    actual = head_gradients(score_candidates(transposed, head, backend=backend), head)
    exact = exact_head_gradients(head, lambda double: exact_scores(layers, double))
    eager = head_gradients(eager_scores(layers, head), head)
    assert_gradients_accurate(actual, exact, eager)


@pytest.mark.parametrize("mask", ["all", "left_padding", "empty_row"])
def test_hidden_states(backend, mask):
    head = random_head(2, 24).requires_grad_(False)
    mask = MASKS[mask](3, 7)
    layers = random_layers((2, 3, 7, 24))

    dirty = fill_padding(layers, mask)
    actual = state_gradients(dirty, lambda x: score_candidates(x, head, mask, backend=backend))
    doubles = [layer.double() for layer in layers]
    exact = state_gradients(doubles, lambda x: exact_scores(x, head, mask))
    eager = state_gradients(layers, lambda x: eager_scores(x, head, mask))
    assert_gradients_accurate(actual, exact, eager)
    if mask is not None:
        assert all((gradient[mask == 0] == 0).all() for gradient in actual)


def test_dtype_of_the_gradient_is_that_of_the_state(backend):
    layers = [layer.requires_grad_() for layer in random_layers((2, 3, 7, 24), torch.bfloat16)]
    head = random_head(2, 24)
    score_candidates(layers[:1] + [layers[1].detach()], head, backend=backend).sum().backward()
    assert layers[0].grad.dtype == torch.bfloat16
    assert layers[1].grad is None
    assert head.reward_weight.grad.dtype == torch.float32


def test_of_token_scores(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))
    values = score_candidates(layers, head, backend=backend, return_token_scores=True)
    (values.rewards.sum() + values.gates.sum()).backward()
    expected = torch.stack([layer.sum((0, 1)) for layer in layers])
    torch.testing.assert_close(head.reward_weight.grad, expected, rtol=1e-5, atol=1e-5)
    assert head.reward_bias.grad == 3 * 7


def test_under_autocast(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))
    expected = head_gradients(score_candidates(layers, head, backend=backend), head)
    with torch.autocast(DEVICE, torch.bfloat16):
        actual = head_gradients(score_candidates(layers, head, backend=backend), head)
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def test_hidden_states_under_autocast(backend):
    head = random_head(2, 24).requires_grad_(False)
    layers = random_layers((2, 3, 7, 24))
    expected = state_gradients(layers, lambda x: score_candidates(x, head, backend=backend))
    with torch.autocast(DEVICE, torch.bfloat16):
        actual = state_gradients(layers, lambda x: score_candidates(x, head, backend=backend))
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def test_second_derivatives_are_refused(backend):
    head = random_head(2, 24)
    layers = [layer.requires_grad_() for layer in random_layers((2, 3, 7, 24))]
    scores = score_candidates(layers, head, backend=backend)
    with pytest.raises(RuntimeError, match="twice"):
        (first,) = torch.autograd.grad(scores.sum(), layers[:1], create_graph=True)
        first.square().sum().backward()


def test_no_graph_where_none_is_needed(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))
    assert score_candidates(layers, head, backend=backend).requires_grad
    assert not score_candidates(layers, head.requires_grad_(False), backend=backend).requires_grad


def test_under_activation_checkpointing(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))

    def score(*states):
        return score_candidates(states, head, backend=backend)

    expected = head_gradients(score(*layers), head)
    again = torch.utils.checkpoint.checkpoint(score, *layers, use_reentrant=False)
    for one, other in zip(head_gradients(again, head), expected, strict=True):
        assert torch.equal(one, other)


def test_of_scores_that_are_changed_in_place(backend):
    head = random_head(2, 24)
    mask = MASKS["empty_row"](3, 7)
    scores = score_candidates(random_layers((2, 3, 7, 24)), head, mask, backend=backend)
    expected = head_gradients(torch.where(scores < -5, -5, scores), head)
    scores = score_candidates(random_layers((2, 3, 7, 24)), head, mask, backend=backend)
    for one, other in zip(head_gradients(scores.clamp_(min=-5), head), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_only_the_bias_learns(backend):
    head = random_head(2, 24).requires_grad_(False)
    head.reward_bias.requires_grad_()
    layers = random_layers((2, 3, 7, 24))
    score_candidates(layers, head, backend=backend).sum().backward()
    torch.testing.assert_close(head.reward_bias.grad, torch.tensor(3.0, device=DEVICE))
    assert head.reward_weight.grad is None
