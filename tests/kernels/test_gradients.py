"""From the gradient of the scores to that of each token, against autograd of the definition."""

import pytest
import torch

from reference_gradients import assert_gradients_accurate, exact_head_gradients, head_gradients
from reference_inputs import (
    BACKENDS,
    DEVICE,
    assert_accurate,
    cumulative_lengths,
    eager_scores,
    eager_values,
    exact_scores,
    exact_values,
    random_head,
    random_layers,
)
from swift_kernels import reference, score_candidates
from swift_kernels.gradients import state_gradients, token_gradients

GATE_LOGITS = {
    "open": 0.3,
    "closed": -15.0,
    "below_the_floor": -25.0,  # six gates of e^-25 make less than 1e-8
    "gone": -800.0,
    "all_the_way": 800.0,
}
MASKS = {
    "all": None,
    "holes": [[1, 0, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0]],
    "empty_candidates": [[0] * 6, [1] * 6, [0] * 6, [0, 0, 0, 1, 1, 1]],
}
GATED = pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])


def random_float64(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(DEVICE)


def autograd_and_inputs(gate_logit, scored, gated, grads):
    """Token gradients `[R, N, T]` by autograd, and what the kernel keeps: all but their mask."""
    grad_scores, grad_rewards, grad_gates = grads
    num_weights = 2 if gated else 1
    leaves = [value.requires_grad_() for value in random_float64(2, *scored.shape)[:num_weights]]
    rewards = leaves[0]
    gates = torch.sigmoid(leaves[1] + gate_logit) if gated else torch.ones_like(rewards)
    scores = reference.average_tokens(rewards, gates, scored)
    per_token = torch.where(scored, rewards * grad_rewards + gates * grad_gates, 0)
    loss = (torch.where(scored.any(1), scores, 0) * grad_scores).sum() + per_token.sum()
    expected = torch.stack(torch.autograd.grad(loss, leaves))
    rewards, gates = (torch.where(scored, value, 0).detach() for value in (rewards, gates))
    return expected, (scores.detach(), gates.sum(1), rewards, gates)


@pytest.mark.parametrize("token_grads", [0, 1], ids=["of_scores", "of_token_values"])
@GATED
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("gate_logit", GATE_LOGITS)
def test_token_gradients(gate_logit, mask, gated, token_grads):
    mask = MASKS[mask]
    scored = torch.ones(4, 6) if mask is None else torch.tensor(mask)
    scored = scored.to(DEVICE, torch.bool)
    grads = (random_float64(4, seed=1), *random_float64(2, 4, 6, seed=2) * token_grads)
    expected, kept = autograd_and_inputs(GATE_LOGITS[gate_logit], scored, gated, grads)
    actual = token_gradients(*grads, *kept, None if mask is None else scored, None, gated)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12 * expected.abs().max())


@GATED
@pytest.mark.parametrize("gate_logit", ["open", "below_the_floor"])
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "all"])
def test_token_gradients_of_a_pack(masked, gate_logit, gated):
    """Row by row the same as padded, where each row has as many tokens as its length."""
    lengths = torch.tensor([3, 0, 6, 1], device=DEVICE)
    inside = torch.arange(6, device=DEVICE) < lengths[:, None]  # [N, T]
    scored = inside & (torch.arange(24, device=DEVICE).view(4, 6) % 4 > 0) if masked else inside
    grads = (random_float64(4, seed=1), *random_float64(2, 4, 6, seed=2))
    expected, (scores, gate_sums, *values) = autograd_and_inputs(
        GATE_LOGITS[gate_logit], scored, gated, grads
    )
    packed = [value[inside][None] for value in (*grads[1:], *values, scored)]
    actual = token_gradients(
        grads[0],
        *packed[:2],
        scores,
        gate_sums,
        *packed[2:4],
        packed[4] if masked else None,
        cumulative_lengths(lengths.tolist()),
        gated,
    )
    expected = expected[:, inside][:, None]
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12 * expected.abs().max())


@GATED
def test_state_gradients(gated):
    num_weights = 2 if gated else 1
    token_grads = random_float64(num_weights, 4, 6)
    weight = random_float64(num_weights, 3, 5, seed=1)
    layers = random_float64(3, 4, 6, 5, seed=2)
    actual = state_gradients(token_grads, weight, layers, [True, False, True])
    assert actual[1] is None
    expected = (token_grads[..., None, None] * weight[:, None, None]).sum(0)  # [N, T, L, H]
    for index in (0, 2):
        torch.testing.assert_close(actual[index], expected[:, :, index])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("gate_bias", [-200.0, -25.0, -12.0, 30.0])
def test_gates_that_are_shut_or_open(gate_bias, backend):
    """Below the floor the score is no longer an average, and its gradient another one."""
    head = random_head(2, 24)
    head.gate_bias.data.fill_(gate_bias)
    layers = random_layers((2, 3, 7, 24))
    scores = score_candidates(layers, head, backend=backend)
    eager = eager_scores(layers, head)
    assert_accurate(scores.detach(), exact_scores(layers, head).detach(), eager.detach())
    actual = head_gradients(scores, head)
    exact = exact_head_gradients(head, lambda double: exact_scores(layers, double))
    eager = head_gradients(eager, head)
    assert_gradients_accurate(actual[:2], exact[:2], eager[:2])  # of the reward
    for one, exact_one in zip(actual[2:], exact[2:], strict=True):  # of the gate, often tiny
        torch.testing.assert_close(one.double(), exact_one, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("index", [0, 1], ids=["rewards", "gates"])
def test_of_one_kind_of_token_value(index, backend):
    """The other kind has a gradient of 0 at every token, and hides none of these."""
    head, layers = random_head(2, 24), random_layers((2, 3, 7, 24))
    values = score_candidates(layers, head, backend=backend, return_token_scores=True)[1:]
    actual = head_gradients(values[index].square().sum(1), head)
    exact = exact_head_gradients(head, lambda x: exact_values(layers, x)[index].square().sum(1))
    eager = head_gradients(eager_values(layers, head)[index].square().sum(1), head)
    learning = [row for row in zip(actual, exact, eager, strict=True) if row[1] is not None]
    assert_gradients_accurate(*zip(*learning, strict=True))
