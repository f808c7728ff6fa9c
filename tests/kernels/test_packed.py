"""Scores of packed candidates against float64, one by one; eager PyTorch is the limit."""

import pytest
import torch

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
    assert_accurate,
    cumulative_lengths,
    each_candidate,
    eager_scores,
    eager_values,
    exact_scores,
    exact_values,
    random_head,
    random_layers,
)
from swift_kernels import CandidateScores, packed, score_candidates, score_packed

pytestmark = pytest.mark.parametrize("backend", BACKENDS)

LENGTHS = {
    "one_token": [1],
    "one_candidate": [37],
    "odd": [3, 7, 1, 5],
    "whole_tiles": [64, 128, 64],
    "empty_ones": [0, 5, 0, 0, 70, 0],
    "only_empty": [0, 0, 0],
    "long_and_short": [1, 200, 2],
    "many": [index % 3 for index in range(40)],
}
MASKS = {
    "all": lambda cu_seqlens, total: None,
    "holes": lambda cu_seqlens, total: torch.arange(total, device=DEVICE) % 3 != 1,
    "holes_int64": lambda cu_seqlens, total: (torch.arange(total, device=DEVICE) % 4 % 3).long(),
    "second_empty": lambda cu_seqlens, total: (
        (torch.arange(total, device=DEVICE) < cu_seqlens[1])
        | (torch.arange(total, device=DEVICE) >= cu_seqlens[min(2, len(cu_seqlens) - 1)])
    ),
    "none": lambda cu_seqlens, total: torch.zeros(total, dtype=torch.bool, device=DEVICE),
}


def packed_layers(num_layers, total, hidden_size, mask=None, dtype=torch.float32):
    """L tensors `[total_tokens, H]`, and the same with NaN and inf where nothing is scored."""
    layers = random_layers((num_layers, total, hidden_size), dtype)
    if mask is None:
        return layers, layers
    garbage = (float("nan"), float("inf"), float("-inf"))
    dirty = [
        torch.where((mask == 0)[:, None], garbage[index % 3], layer)
        for index, layer in enumerate(layers)
    ]
    return layers, dirty


def exact_and_eager(layers, head, cu_seqlens, mask=None):
    inputs = (layers, head, cu_seqlens, mask)
    with torch.no_grad():
        return each_candidate(exact_scores, *inputs), each_candidate(eager_scores, *inputs)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_equals_float64(backend, lengths, mask):
    cu_seqlens = cumulative_lengths(LENGTHS[lengths])
    total = int(cu_seqlens[-1])
    mask = MASKS[mask](cu_seqlens, total)
    head = random_head(2, 77).requires_grad_(False)
    layers, dirty = packed_layers(2, total, 77, mask)
    actual = score_packed(dirty, head, cu_seqlens, mask, backend=backend)
    assert_accurate(actual, *exact_and_eager(layers, head, cu_seqlens, mask))


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
@pytest.mark.parametrize("cu_dtype", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(backend, dtype, cu_dtype, gated):
    cu_seqlens = cumulative_lengths([3, 0, 17, 70], cu_dtype)
    head = random_head(3, 300, gated=gated).requires_grad_(False)
    layers, _ = packed_layers(3, 90, 300, dtype=dtype)
    actual = score_packed(layers, head, cu_seqlens, backend=backend)
    assert_accurate(actual, *exact_and_eager(layers, head, cu_seqlens))


def test_strides(backend):
    head = random_head(2, 64).requires_grad_(False)
    layers, _ = packed_layers(2, 20, 64)
    cu_seqlens = cumulative_lengths([3, 17])
    limits = exact_and_eager(layers, head, cu_seqlens)
    transposed = [layer.T.contiguous().T for layer in layers]
    stepped = [layer.repeat_interleave(2, dim=0)[::2] for layer in layers]
    gapped = torch.stack([cu_seqlens, cu_seqlens], dim=1)[:, 0]
    mixed = [layers[0], transposed[1]]
    for same in (torch.stack(layers), transposed, stepped, mixed):
        assert_accurate(score_packed(same, head, gapped, backend=backend), *limits)
    mask = torch.arange(40, device=DEVICE) % 3 > 0
    actual = score_packed(layers, head, cu_seqlens, mask[::2], backend=backend)
    assert_accurate(actual, *exact_and_eager(layers, head, cu_seqlens, mask[::2]))


def test_layers_of_a_subset(backend):
    head = random_head(4, 24, layers=[1, 3]).requires_grad_(False)
    layers, _ = packed_layers(4, 20, 24)
    cu_seqlens = cumulative_lengths([3, 17])
    actual = score_packed(layers, head, cu_seqlens, backend=backend)
    assert_accurate(actual, *exact_and_eager(layers[1::2], head, cu_seqlens))
    for same in (layers[1::2], torch.stack(layers)):
        assert torch.equal(score_packed(same, head, cu_seqlens, backend=backend), actual)


@pytest.mark.parametrize("mask", ["all", "holes", "second_empty"])
def test_token_scores(backend, mask):
    cu_seqlens = cumulative_lengths([3, 20, 0, 70])
    mask = MASKS[mask](cu_seqlens, 93)
    head = random_head(2, 24).requires_grad_(False)
    layers, dirty = packed_layers(2, 93, 24, mask)
    inputs = (dirty, head, cu_seqlens, mask)
    values = score_packed(*inputs, backend=backend, return_token_scores=True)
    assert isinstance(values, CandidateScores)
    assert torch.equal(values.scores, score_packed(*inputs, backend=backend))
    scored = torch.ones(93, dtype=torch.bool, device=DEVICE) if mask is None else mask
    limits = (f([layer[None] for layer in layers], head) for f in (exact_values, eager_values))
    for actual, exact, eager in zip(values[1:], *limits, strict=True):
        assert actual.shape == (93,)
        assert actual[~scored].isnan().all()
        assert_accurate(actual[scored], exact[0, scored], eager[0, scored])


def test_equals_the_padded_form(backend):
    lengths = torch.tensor([3, 0, 19, 64], device=DEVICE)
    mask = torch.arange(64, device=DEVICE) < lengths[:, None]  # [N, T]
    head = random_head(2, 24).requires_grad_(False)
    padded = random_layers((2, 4, 64, 24))
    pack = [layer[mask] for layer in padded]
    actual = score_packed(pack, head, cumulative_lengths(lengths.tolist()), backend=backend)
    expected = score_candidates(padded, head, mask, backend=backend)
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mask", ["all", "holes", "second_empty"])
@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_gradients_of_the_head(backend, gated, mask):
    cu_seqlens = cumulative_lengths([7, 20, 0, 3])
    mask = MASKS[mask](cu_seqlens, 30)
    head = random_head(2, 77, gated=gated)
    layers, dirty = packed_layers(2, 30, 77, mask)
    actual = head_gradients(score_packed(dirty, head, cu_seqlens, mask, backend=backend), head)
    exact = exact_head_gradients(
        head, lambda double: each_candidate(exact_scores, layers, double, cu_seqlens, mask)
    )
    eager = each_candidate(eager_scores, layers, head, cu_seqlens, mask)
    eager = torch.where(exact_and_eager(layers, head, cu_seqlens, mask)[0].isfinite(), eager, 0)
    assert_gradients_accurate(actual, exact, head_gradients(eager, head))


def test_gradients_of_the_states(backend):
    cu_seqlens = cumulative_lengths([7, 0, 20, 3])
    head = random_head(2, 24).requires_grad_(False)
    layers, _ = packed_layers(2, 30, 24)
    actual = state_gradients(layers, lambda x: score_packed(x, head, cu_seqlens, backend=backend))
    doubles = [layer.double() for layer in layers]
    exact = state_gradients(doubles, lambda x: each_candidate(exact_scores, x, head, cu_seqlens))
    eager = state_gradients(layers, lambda x: each_candidate(eager_scores, x, head, cu_seqlens))
    assert_gradients_accurate(actual, exact, eager)


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]], ids=str)
def test_no_tokens(backend, lengths):
    head = random_head(2, 24)
    layers, _ = packed_layers(2, 0, 24)
    cu_seqlens = cumulative_lengths(lengths)
    values = score_packed(layers, head, cu_seqlens, backend=backend, return_token_scores=True)
    assert values.scores.tolist() == [float("-inf")] * len(lengths)
    assert values.rewards.shape == values.gates.shape == (0,)


def test_only_a_pack_without_candidates_has_none(backend):
    layers, _ = packed_layers(2, 0, 24)
    scores = score_packed(layers, random_head(2, 24), cumulative_lengths([]), backend=backend)
    assert scores.shape == (0,)
    assert scores.dtype == torch.float32
    scores.sum().backward()


def test_backend_that_was_asked_for_runs(backend, monkeypatch):
    from swift_kernels.fused import ops

    ran = []

    def record(module, name):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: ran.append(name) or function(*args))

    record(ops, "fused_score")
    record(packed, "token_values")
    layers, _ = packed_layers(2, 7, 24)
    score_packed(layers, random_head(2, 24), cumulative_lengths([3, 4]), backend=backend)
    assert ran == [{"triton": "fused_score", "torch": "token_values"}[backend]]


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
def test_what_lies_behind_the_last_candidate_is_not_scored(backend, masked):
    head = random_head(2, 24)
    layers, _ = packed_layers(2, 40, 24)
    cu_seqlens = cumulative_lengths([17, 0, 9])
    mask = torch.arange(40, device=DEVICE) % 3 > 0 if masked else None
    part = None if mask is None else mask[:26]
    dirty = [torch.cat([layer[:26], layer[26:] * float("nan")]) for layer in layers]
    results = [
        score_packed(states, head, cu_seqlens, m, backend=backend, return_token_scores=True)
        for states, m in ((dirty, mask), ([layer[:26] for layer in layers], part))
    ]
    longer, exact = results
    torch.testing.assert_close(longer.scores, exact.scores)
    for values, expected in zip(longer[1:], exact[1:], strict=True):
        assert values[26:].isnan().all()
        torch.testing.assert_close(values[:26], expected, equal_nan=True)
    gradients = []
    for result in results:
        result.scores[::2].sum().backward()
        gradients.append(head.reward_weight.grad.clone())
        head.zero_grad()
    torch.testing.assert_close(*gradients)
