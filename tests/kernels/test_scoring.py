"""Scores of a padded batch against float64; eager PyTorch is the limit of the error."""

import pytest
import torch

from reference_inputs import (
    BACKENDS,
    DEVICE,
    DTYPES,
    MASKS,
    SHAPES,
    assert_accurate,
    eager_scores,
    eager_values,
    exact_scores,
    exact_values,
    fill_padding,
    random_head,
    random_layers,
)
from swift_kernels import CandidateScores, score_candidates, scoring

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():  # gradients have a file of their own
        yield


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_float64(backend, shape, mask, dtype):
    num_layers, num_candidates, num_tokens, hidden_size = SHAPES[shape]
    head = random_head(num_layers, hidden_size)
    layers = random_layers(SHAPES[shape], dtype)
    mask = MASKS[mask](num_candidates, num_tokens)
    actual = score_candidates(fill_padding(layers, mask), head, mask, backend=backend)
    assert_accurate(actual, exact_scores(layers, head, mask), eager_scores(layers, head, mask))


@pytest.mark.parametrize("mask", ["all", "left_padding", "holes_int64", "empty_row"])
@pytest.mark.parametrize("shape", ["ones", "odd", "tiles"])
def test_without_gate(backend, shape, mask):
    num_layers, num_candidates, num_tokens, hidden_size = SHAPES[shape]
    head = random_head(num_layers, hidden_size, gated=False)
    layers = random_layers(SHAPES[shape])
    mask = MASKS[mask](num_candidates, num_tokens)
    actual = score_candidates(fill_padding(layers, mask), head, mask, backend=backend)
    assert_accurate(actual, exact_scores(layers, head, mask), eager_scores(layers, head, mask))


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
@pytest.mark.parametrize("mask", ["all", "left_padding", "holes_int64", "empty_row"])
def test_token_scores(backend, mask, gated):
    head = random_head(2, 300, gated=gated)
    layers = random_layers((2, 3, 33, 300), torch.bfloat16)
    mask = MASKS[mask](3, 33)
    inputs = (fill_padding(layers, mask), head, mask)
    values = score_candidates(*inputs, backend=backend, return_token_scores=True)
    assert isinstance(values, CandidateScores)
    assert torch.equal(values.scores, score_candidates(*inputs, backend=backend))
    scored = torch.ones(3, 33, dtype=torch.bool, device=DEVICE) if mask is None else mask != 0
    exact, eager = exact_values(layers, head), eager_values(layers, head)
    for actual, exact_value, eager_value in zip(values[1:], exact, eager, strict=True):
        assert actual[~scored].isnan().all()
        assert_accurate(actual[scored], exact_value[scored], eager_value[scored])


def test_stacked_equals_tuple(backend):
    head = random_head(3, 24)
    layers = random_layers((3, 3, 7, 24))
    expected = score_candidates(layers, head, backend=backend)
    for same in (torch.stack(layers), list(layers)):
        assert torch.equal(score_candidates(same, head, backend=backend), expected)


def test_layers_of_two_layouts(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))
    mixed = (layers[0], layers[1].transpose(0, 1).contiguous().transpose(0, 1))
    actual = score_candidates(mixed, head, backend=backend)
    assert_accurate(actual, exact_scores(layers, head), eager_scores(layers, head))


def _misaligned(layer):
    flat = torch.empty(layer.numel() + 1, dtype=layer.dtype, device=layer.device)
    flat[1:] = layer.flatten()
    return flat[1:].view(layer.shape)


def _sliced(layer):
    larger = torch.full([size + 3 for size in layer.shape], float("nan")).to(layer)
    view = larger[1:-2, 2:-1, 1:-2]
    return view.copy_(layer)


def _stepped(layer, dim):
    shape = list(layer.shape)
    shape[dim] *= 2
    view = torch.full(shape, float("nan")).to(layer).movedim(dim, 0)[::2].movedim(0, dim)
    return view.copy_(layer)


LAYOUTS = {
    "transposed": lambda layer: layer.transpose(0, 1).contiguous().transpose(0, 1),
    "last_dim_outermost": lambda layer: layer.permute(2, 0, 1).contiguous().permute(1, 2, 0),
    "last_dim_inner": lambda layer: layer.transpose(1, 2).contiguous().transpose(1, 2),
    "sliced": _sliced,
    "step_of_candidates": lambda layer: _stepped(layer, 0),
    "step_of_tokens": lambda layer: _stepped(layer, 1),
    "step_of_last_dim": lambda layer: _stepped(layer, 2),
    "misaligned": _misaligned,
    "expanded_candidates": lambda layer: layer[:1].expand_as(layer),
    "expanded_tokens": lambda layer: layer[:, :1].expand_as(layer),
    "expanded_last_dim": lambda layer: layer[..., :1].expand_as(layer),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(backend, layout, dtype):
    head = random_head(2, 64)
    layers = [LAYOUTS[layout](layer) for layer in random_layers((2, 3, 19, 64), dtype)]
    mask = MASKS["left_padding"](3, 19)
    actual = score_candidates(layers, head, mask, backend=backend)
    assert_accurate(actual, exact_scores(layers, head, mask), eager_scores(layers, head, mask))


MASK_LAYOUTS = {
    "transposed": lambda mask: mask.T.contiguous().T,
    "step_of_tokens": lambda mask: mask.repeat_interleave(2, dim=1)[:, ::2],
    "uint8_above_1": lambda mask: mask.byte() * 2,
    "int64_negative": lambda mask: -mask.long(),
    "expanded": lambda mask: mask[1:2].expand_as(mask),
}


@pytest.mark.parametrize("layout", MASK_LAYOUTS)
def test_layouts_of_the_mask(backend, layout):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 19, 24))
    mask = MASK_LAYOUTS[layout](MASKS["left_padding"](3, 19))
    actual = score_candidates(fill_padding(layers, mask), head, mask, backend=backend)
    assert_accurate(actual, exact_scores(layers, head, mask), eager_scores(layers, head, mask))


def test_layers_of_a_subset(backend):
    head = random_head(5, 24, layers=[0, 2, 3])
    layers = random_layers((5, 3, 7, 24))
    selected = [layers[index] for index in head.layers]
    actual = score_candidates(layers, head, backend=backend)
    assert_accurate(actual, exact_scores(selected, head), eager_scores(selected, head))
    for same in (selected, torch.stack(layers), torch.stack(selected)):
        assert torch.equal(score_candidates(same, head, backend=backend), actual)


@pytest.mark.parametrize("num_candidates, num_tokens", [(3, 0), (0, 7), (0, 0)])
def test_nothing_to_score(backend, num_candidates, num_tokens):
    head = random_head(2, 24)
    layers = random_layers((2, num_candidates, num_tokens, 24))
    for mask in (None, torch.ones(num_candidates, num_tokens, dtype=torch.bool, device=DEVICE)):
        values = score_candidates(layers, head, mask, backend=backend, return_token_scores=True)
        assert torch.equal(values.scores, torch.full_like(values.scores, float("-inf")))
        assert values.scores.shape == (num_candidates,)
        assert values.rewards.shape == values.gates.shape == (num_candidates, num_tokens)


def test_infinite_state_of_a_scored_token_shows(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))
    layers[1][1, 4, 5] = float("nan")
    assert score_candidates(layers, head, backend=backend).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("mask", ["all", "left_padding", "empty_row"])
def test_every_output_is_written(backend, mask, monkeypatch):
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    mask = MASKS[mask](3, 33)
    layers = random_layers((2, 3, 33, 24))
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        scores = score_candidates(layers, random_head(2, 24), mask, backend=backend)
    finally:
        torch.use_deterministic_algorithms(False)
    assert not scores.isnan().any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_head_of_another_dtype(backend, dtype):
    head = random_head(2, 300).to(dtype)
    layers = random_layers((2, 3, 33, 300), torch.bfloat16)
    actual = score_candidates(layers, head, backend=backend)
    head = head.float()
    assert_accurate(actual, exact_scores(layers, head), eager_scores(layers, head))


def test_head_of_another_layout(backend):
    head = random_head(3, 24)
    layers = random_layers((3, 3, 7, 24))
    expected = score_candidates(layers, head, backend=backend)
    head.reward_weight.data = head.reward_weight.data.T.contiguous().T
    assert torch.equal(score_candidates(layers, head, backend=backend), expected)


def test_autocast_changes_nothing(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))
    expected = score_candidates(layers, head, backend=backend)
    with torch.autocast(DEVICE, torch.bfloat16):
        assert torch.equal(score_candidates(layers, head, backend=backend), expected)


def test_backend_that_was_asked_for_runs(backend, monkeypatch):
    from swift_kernels.fused import ops

    ran = []

    def record(module, name):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: ran.append(name) or function(*args))

    record(ops, "fused_score")
    record(scoring, "token_values")
    score_candidates(random_layers((2, 3, 7, 24)), random_head(2, 24), backend=backend)
    assert ran == [{"triton": "fused_score", "torch": "token_values"}[backend]]
