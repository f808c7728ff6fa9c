"""Scores of stacked heads against the definition in float64, with each backend."""

import pytest
import torch

from reference_inputs import BACKENDS, DEVICE, assert_accurate, cumulative_lengths
from swift_bon.fitting.head_stack import INITIAL_SCALE, HeadStack, stack_scores
from swift_kernels import RewardHead, reference, score_packed

pytestmark = pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
over_backends = pytest.mark.parametrize("backend", BACKENDS)

LENGTHS = {
    "one": [1],
    "odd": [3, 7, 1, 5],
    "empty ones": [0, 5, 0, 20, 0],
    "long": [70, 2],
}
DTYPES = (torch.float32, torch.bfloat16, torch.float8_e4m3fn)
CASES = [("torch", lengths, dtype) for lengths in LENGTHS for dtype in DTYPES]
CASES += [  # few, as the interpreter is slow
    ("triton", "empty ones", torch.float32),
    ("triton", "odd", torch.float8_e4m3fn),
]
NUM_HEADS, NUM_BLOCKS, BLOCK_SIZE = 2, 2, 9


def random_stack(gated: bool, num_heads: int = NUM_HEADS, seed: int = 0):
    """Weight `[S, R, B, W]` and bias `[S, R]`, leaves."""
    draw = torch.Generator().manual_seed(seed)
    num_rows = 2 if gated else 1
    weight = torch.randn(num_heads, num_rows, NUM_BLOCKS, BLOCK_SIZE, generator=draw) * 0.3
    bias = torch.randn(num_heads, num_rows, generator=draw)
    return weight.to(DEVICE).requires_grad_(), bias.to(DEVICE).requires_grad_()


def packed(lengths, dtype=torch.float32):
    """B tensors `[tokens, W]`, offsets, and a mask with holes, that leaves out a candidate too."""
    draw = torch.Generator().manual_seed(1)
    offsets = cumulative_lengths(lengths, torch.int64)
    total = int(offsets[-1])
    blocks = torch.randn(NUM_BLOCKS, total, BLOCK_SIZE, generator=draw).to(DEVICE).to(dtype)
    scored = torch.ones(total, dtype=torch.bool, device=DEVICE)
    scored[2::5] = False
    if len(lengths) > 2:
        scored[offsets[1] : offsets[2]] = False
    return list(blocks), offsets, scored


def definition(weight, bias, blocks, offsets, scored):
    """`swift_kernels.reference` for each head and candidate, in the precision of the weights."""
    rows = []
    for head_weight, head_bias in zip(weight, bias, strict=True):
        gate = (head_weight[1], head_bias[1]) if len(head_bias) == 2 else (None, None)
        scores = []
        for start, end in zip(offsets[:-1], offsets[1:], strict=True):
            hidden = torch.stack([block[start:end] for block in blocks])[:, None]
            hidden = hidden.to(weight.dtype)
            mask = scored[start:end][None]
            scores.append(reference.score(hidden, head_weight[0], head_bias[0], *gate, mask)[0])
        rows.append(torch.stack(scores))
    return torch.stack(rows)


def has_score(offsets, scored):
    spans = zip(offsets[:-1], offsets[1:], strict=True)
    return torch.tensor([bool(scored[start:end].any()) for start, end in spans], device=DEVICE)


@pytest.mark.parametrize(("backend", "lengths", "dtype"), CASES, ids=str)
def test_scores_and_gradients_are_those_of_the_definition(gated, backend, lengths, dtype):
    weight, bias = random_stack(gated)
    blocks, offsets, scored = packed(LENGTHS[lengths], dtype)
    counted = has_score(offsets, scored)
    weights = 1 - 1.5 * (torch.arange(len(counted), device=DEVICE) % 3)
    results = []
    for precision in (None, torch.float64, torch.float32):
        leaves = [tensor.detach().clone() for tensor in (weight, bias)]
        if precision is None:
            leaves = [leaf.requires_grad_() for leaf in leaves]
            dirty = [
                torch.where(scored[:, None], block.float(), float("nan")).to(dtype)
                for block in blocks
            ]
            scores = stack_scores(*leaves, dirty, offsets, scored, backend=backend)
        else:
            leaves = [leaf.to(precision).requires_grad_() for leaf in leaves]
            scores = definition(*leaves, blocks, offsets, scored)
        assert scores.shape == (NUM_HEADS, len(counted))
        (torch.where(counted, scores, 0) * weights).sum().backward()
        results.append((scores[:, counted], *(leaf.grad for leaf in leaves)))
    for actual, exact, eager in zip(*results, strict=True):
        assert_accurate(actual.flatten(), exact.flatten(), eager.flatten())


@over_backends
def test_heads_do_not_see_each_other(gated, backend):
    """A head that diverged leaves the bits of the others alone, and their gradients."""
    weight, bias = random_stack(gated)
    blocks, offsets, scored = packed([3, 7])
    results = []
    for first in (weight[0], weight[0] * float("nan")):
        leaf = torch.stack([first, weight[1]]).detach().requires_grad_()
        scores = stack_scores(leaf, bias, blocks, offsets, scored, backend=backend)
        scores.sum().backward()
        results.append((scores[1], leaf.grad[1]))
    for clean, beside_nan in zip(*results, strict=True):
        assert clean.isfinite().all()
        assert torch.equal(clean, beside_nan)


@over_backends
def test_is_score_packed_of_each_head(gated, backend):
    weight, bias = random_stack(gated)
    blocks, offsets, scored = packed([3, 7, 1, 5])
    actual = stack_scores(weight, bias, blocks, offsets, scored, backend=backend)
    head = RewardHead(NUM_BLOCKS, BLOCK_SIZE, gated=gated).to(DEVICE)
    counted = has_score(offsets, scored)
    for index in range(NUM_HEADS):
        with torch.no_grad():
            head.reward_weight.copy_(weight[index, 0])
            head.reward_bias.copy_(bias[index, 0])
            if gated:
                head.gate_weight.copy_(weight[index, 1])
                head.gate_bias.copy_(bias[index, 1])
        expected = score_packed(blocks, head, offsets, scored)
        torch.testing.assert_close(actual[index, counted], expected[counted], rtol=1e-5, atol=1e-5)


@over_backends
@pytest.mark.parametrize("lengths", [[0], [0, 0, 0]], ids=str)
def test_no_tokens(gated, backend, lengths):
    weight, bias = random_stack(gated)
    blocks, offsets, scored = packed(lengths)
    scores = stack_scores(weight, bias, blocks, offsets, scored[:0], backend=backend)
    assert scores.shape == (NUM_HEADS, len(lengths))
    torch.where(torch.zeros_like(scores, dtype=torch.bool), scores, 0).sum().backward()
    assert weight.grad is None or not weight.grad.any()


def make_stack(gated: bool, seeds=(0, 1), **changes) -> HeadStack:
    draw = torch.Generator().manual_seed(5)
    mean = 3 * torch.randn(NUM_BLOCKS * BLOCK_SIZE, generator=draw)
    deviation = torch.rand(NUM_BLOCKS * BLOCK_SIZE, generator=draw) + 0.2
    settings = {"mean": mean, "deviation": deviation, **changes}
    return HeadStack(seeds, NUM_BLOCKS, BLOCK_SIZE, gated=gated, **settings)


def test_standardisation_folds_into_the_weights(gated):
    stack = make_stack(gated).double()
    blocks, _, _ = packed([3, 7, 1, 5])
    states = torch.cat(blocks, dim=1).double().cpu()
    weight, bias = stack.folded()
    assert weight.shape == (2, 2 if gated else 1, NUM_BLOCKS, BLOCK_SIZE)
    folded = torch.einsum("tbw,srbw->srt", states.unflatten(1, stack.shape), weight)
    folded = folded + bias[..., None]
    z = (states - stack.mean) / stack.deviation
    expected = torch.stack(
        [w @ z.T + b[:, None] for w, b in zip(stack.weights, stack.biases, strict=True)]
    )
    torch.testing.assert_close(folded, expected, rtol=1e-12, atol=1e-12)


def test_first_weights_follow_from_the_seed_alone(gated):
    one, other = make_stack(gated, seeds=(3, 4)), make_stack(gated, seeds=(4, 3, 5))
    assert torch.equal(one.weights[0], other.weights[1])
    assert torch.equal(one.weights[1], other.weights[0])
    assert not torch.equal(other.weights[0], other.weights[2])
    assert not any(bias.any() for bias in one.biases)
    wide = torch.zeros(4000)
    stack = HeadStack((0,), 1, 4000, gated=gated, mean=wide, deviation=wide + 1)
    deviation = stack.weights[0].std().item()
    assert deviation == pytest.approx(INITIAL_SCALE * 4000**-0.5, rel=0.1)
