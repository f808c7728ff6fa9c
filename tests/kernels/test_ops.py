"""The kernels as PyTorch operators: their registration, and when a call goes through them."""

import pytest
import torch
from torch.library import opcheck

from reference_inputs import DEVICE, MASKS, cumulative_lengths, random_head, random_layers
from swift_kernels import RunningScore, score_candidates, score_packed
from swift_kernels.fused import ops
from swift_kernels.fused.step import step_scratch


def weights_of(head, requires_grad):
    """Four leaves, or None where the head has no gate."""
    return [
        weight if weight is None else weight.detach().clone().requires_grad_(requires_grad)
        for weight in head.kernel_weights()
    ]


SCORE_CASES = {  # gated, masked, packed, dtype, what requires a gradient
    "gated": (True, False, False, torch.float32, "head"),
    "ungated_masked": (False, True, False, torch.float32, "head"),
    "packed": (True, False, True, torch.float32, "head"),
    "packed_masked": (True, True, True, torch.float16, "head"),
    "bfloat16": (True, True, False, torch.bfloat16, "head"),
    "states": (True, True, False, torch.float32, "states"),
    "nothing": (True, True, False, torch.float32, "nothing"),
}


@pytest.mark.parametrize("case", SCORE_CASES)
def test_score_op(case):
    gated, masked, is_packed, dtype, differentiable = SCORE_CASES[case]
    weights = weights_of(random_head(2, 24, gated=gated), differentiable == "head")
    num_candidates = 1 if is_packed else 3
    layers = random_layers((2, num_candidates, 7, 24), dtype)
    layers = [layer.requires_grad_(differentiable == "states") for layer in layers]
    scored = MASKS["left_padding"](num_candidates, 7) if masked else None
    cu_seqlens = cumulative_lengths([3, 0, 4]) if is_packed else None
    opcheck(ops.score_op, (layers, *weights, scored, cu_seqlens))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("num_weights", [1, 2])
def test_weight_gradient_op(num_weights, dtype):
    layers = list(random_layers((2, 3, 7, 24), dtype))
    token_grads = torch.randn(num_weights, 7, 3, device=DEVICE).transpose(1, 2)
    opcheck(ops.weight_gradient_op, (layers, token_grads))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_step_op(gated, dtype):
    layers = list(random_layers((2, 3, 1, 24), dtype))
    weights = weights_of(random_head(2, 24, gated=gated), False)
    flags = torch.tensor([[True, False, True], [False, False, True]], device=DEVICE)
    sums = torch.rand(4, 3, device=DEVICE)
    scratch = step_scratch(3, 2, 24, sums.device)
    scratch[0].zero_()  # opcheck compares all memory that the operator may change
    opcheck(ops.step_op, (layers, *weights, flags[0], sums, flags[1].clone(), *scratch))


@pytest.mark.parametrize("is_packed", [True, False], ids=["packed", "padded"])
def test_tokens_that_are_not_scored_have_0(is_packed, workspaces, monkeypatch):
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    num_candidates = 1 if is_packed else 3
    layers = random_layers((2, num_candidates, 70, 24))
    scored = MASKS["left_padding"](num_candidates, 70)
    cu_seqlens = cumulative_lengths([33, 0, 37]) if is_packed else None
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        values = ops.score_op(layers, *weights_of(random_head(2, 24), False), scored, cu_seqlens)
    finally:
        torch.use_deterministic_algorithms(False)
    for value in values[2:]:
        assert (value[~scored] == 0).all()
        assert (value[scored] != 0).all()
    assert values[1].isfinite().all()


@pytest.fixture
def calls(monkeypatch):
    """Names of the operators and launches that ran."""
    ran = []

    def record(name):
        function = getattr(ops, name)
        monkeypatch.setattr(
            ops, name, lambda *args, **options: ran.append(name) or function(*args, **options)
        )

    for name in ("score_op", "step_op", "weight_gradient_op", "launch_score", "launch_gradient"):
        record(name)
    return ran


def score_padded(head, layers):
    return score_candidates(layers, head, backend="triton")


def score_pack(head, layers):
    pack = [layer.flatten(0, 1) for layer in layers]
    return score_packed(pack, head, cumulative_lengths([7, 7, 7]), backend="triton")


@pytest.mark.parametrize("score", [score_padded, score_pack])
def test_only_a_gradient_goes_through_the_op(score, calls):
    head, layers = random_head(2, 24), random_layers((2, 3, 7, 24))
    with torch.no_grad():
        direct = score(head, layers)
    assert calls == ["launch_score"]
    assert not score(head.requires_grad_(False), layers).requires_grad
    assert calls == ["launch_score"] * 2
    calls.clear()
    scores = score(head.requires_grad_(), layers)
    assert calls == ["score_op", "launch_score"]
    assert torch.equal(scores, direct)
    scores.sum().backward()
    assert calls == ["score_op", "launch_score", "weight_gradient_op", "launch_gradient"]


@pytest.mark.parametrize("name", ["reward_weight", "reward_bias", "gate_weight", "gate_bias"])
def test_a_head_of_which_one_parameter_learns(name, calls):
    head, layers = random_head(2, 24), random_layers((2, 3, 7, 24))
    score_padded(head, layers).square().sum().backward()
    expected = getattr(head, name).grad
    head.zero_grad()
    head.requires_grad_(False)
    getattr(head, name).requires_grad_()
    score_padded(head, layers).square().sum().backward()
    assert torch.equal(getattr(head, name).grad, expected)
    assert sum(parameter.grad is not None for parameter in head.parameters()) == 1


def test_gradients_of_the_states_alone_read_no_states(calls):
    head = random_head(2, 24).requires_grad_(False)
    layers = [layer.requires_grad_() for layer in random_layers((2, 3, 7, 24))]
    score_padded(head, layers).sum().backward()
    assert calls == ["score_op", "launch_score"]
    assert all(layer.grad is not None for layer in layers)


def test_an_update_needs_no_op(calls):
    head, step = random_head(2, 24), random_layers((2, 3, 1, 24))
    score = RunningScore(head, 3, backend="triton")
    score.update(step, torch.ones(3, dtype=torch.bool, device=DEVICE))
    assert calls == []


def test_an_operator_keeps_no_memory(monkeypatch):
    from swift_kernels.fused import score as score_kernel

    kept = []
    function = score_kernel.workspace

    def workspace(*args, is_shared):
        kept.append(is_shared)
        return function(*args, is_shared=is_shared)

    monkeypatch.setattr(score_kernel, "workspace", workspace)
    head, layers = random_head(2, 24), random_layers((2, 3, 1, 24))
    ops.score_op(layers, *weights_of(head, False), None, None)
    score_padded(head.requires_grad_(False), layers)
    assert kept == [False, True]
