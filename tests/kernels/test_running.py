"""The running score against the score of the whole; eager PyTorch is the limit of the error."""

import pytest
import torch

from reference_inputs import (
    BACKENDS,
    DEVICE,
    DTYPES,
    MASKS,
    assert_accurate,
    eager_scores,
    exact_scores,
    fill_padding,
    random_head,
    random_layers,
)
from swift_kernels import RunningScore, running, score_candidates


def run(head, layers, mask, backend) -> RunningScore:
    """Feed the tokens one by one, as `generate` does."""
    num_candidates, num_tokens, _ = layers[0].shape
    score = RunningScore(head, num_candidates, backend=backend)
    active = torch.ones(num_candidates, dtype=torch.bool, device=DEVICE)
    for token in range(num_tokens):
        step = [layer[:, token : token + 1] for layer in layers]
        score.update(step, active if mask is None else mask[:, token])
    return score


SHAPES = {  # L, N, T, H
    "ones": (1, 1, 1, 1),
    "odd": (3, 3, 7, 24),
    "wide": (2, 2, 5, 577),
    "blocks": (2, 2, 3, 1300),
    "long": (2, 3, 19, 17),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_whole(shape, mask, dtype, backend):
    num_layers, num_candidates, num_tokens, hidden_size = SHAPES[shape]
    head = random_head(num_layers, hidden_size)
    layers = random_layers(SHAPES[shape], dtype)
    mask = MASKS[mask](num_candidates, num_tokens)
    actual = run(head, fill_padding(layers, mask), mask, backend).scores()
    with torch.no_grad():
        assert_accurate(actual, exact_scores(layers, head, mask), eager_scores(layers, head, mask))
        whole = score_candidates(fill_padding(layers, mask), head, mask, backend=backend)
    torch.testing.assert_close(actual, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kwargs", [{"gated": False}, {"layers": [0, 3]}], ids=str)
def test_other_heads(kwargs, backend):
    head = random_head(4, 24, **kwargs)
    layers = random_layers((4, 3, 9, 24))
    mask = MASKS["right_padding"](3, 9)
    selected = layers if head.layers is None else [layers[index] for index in head.layers]
    with torch.no_grad():
        limits = (exact_scores(selected, head, mask), eager_scores(selected, head, mask))
    for same in (layers, selected):
        assert_accurate(run(head, fill_padding(same, mask), mask, backend).scores(), *limits)


@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_at_every_step(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 7, 24))
    mask = MASKS["left_padding"](3, 7)
    score = RunningScore(head, 3, backend=backend)
    assert torch.equal(score.scores(), torch.full((3,), float("-inf"), device=DEVICE))
    for token in range(7):
        score.update([layer[:, token : token + 1] for layer in layers], mask[:, token])
        prefix = [layer[:, : token + 1] for layer in layers]
        with torch.no_grad():
            exact = exact_scores(prefix, head, mask[:, : token + 1])
            assert_accurate(score.scores(), exact, eager_scores(prefix, head, mask[:, : token + 1]))


LAYOUTS = {
    "stacked": torch.stack,
    "last_of_longer": lambda layers: [torch.cat([x * 0 + 9, x], 1)[:, -1:] for x in layers],
    "step_of_last_dim": lambda layers: [x.repeat_interleave(2, dim=2)[..., ::2] for x in layers],
    "misaligned": lambda layers: [torch.cat([x[..., :1], x], 2)[..., 1:] for x in layers],
    "expanded": lambda layers: [x[:1].expand_as(x) for x in layers],
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, backend):
    head = random_head(2, 64)
    step = LAYOUTS[layout](random_layers((2, 3, 1, 64)))
    score = RunningScore(head, 3, backend=backend)
    flags = torch.tensor([1, 7, 0, 7, 1, 7], device=DEVICE)
    score.update(step, flags[::2])
    active = flags[::2] != 0
    with torch.no_grad():
        limits = (f(step, head, active[:, None]) for f in (exact_scores, eager_scores))
        assert_accurate(score.scores(), *limits)


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_does_not_grow(backend):
    head = random_head(2, 24)
    score = RunningScore(head, 3, backend=backend)
    before = owned_numbers(score)
    step, active = random_layers((2, 3, 1, 24)), torch.ones(3, dtype=torch.bool, device=DEVICE)
    for _ in range(50):
        score.update(step, active)
    assert owned_numbers(score) == before
    scratch = before.pop("scratch", 0)
    assert scratch == 0 if backend == "torch" else scratch * 4 < 2**19  # bytes
    assert sum(before.values()) == 5 * 3  # two sums, their errors and a flag per candidate


def owned_numbers(score: RunningScore) -> dict[str, int]:
    """Numbers in the storage behind each attribute, and nothing that could hold more."""
    numbers = {}
    for name, value in vars(score).items():
        tensors = value if isinstance(value, tuple) else (value,)
        if all(isinstance(tensor, torch.Tensor) for tensor in tensors):
            numbers[name] = sum(
                tensor.untyped_storage().nbytes() // tensor.element_size() for tensor in tensors
            )
        else:
            assert name == "head" or isinstance(value, (int, str))
    return numbers


@pytest.mark.parametrize("backend, num_tokens", [("torch", 4000), ("triton", 400)])
def test_many_tokens_cost_no_digits(backend, num_tokens):
    """Sums in plain float32 are 40 times as far off as eager after 4000 tokens."""
    head = random_head(1, 24)
    layers = random_layers((1, 2, num_tokens, 24))
    with torch.no_grad():
        exact, eager = exact_scores(layers, head), eager_scores(layers, head)
    error = (run(head, layers, None, backend).scores() - exact).abs().max()
    assert error <= 2 * (eager - exact).abs().max() + 2e-7


@pytest.mark.parametrize("backend", BACKENDS)
def test_holds_no_graph(backend):
    head = random_head(2, 24)
    score = RunningScore(head, 3, backend=backend)
    score.update(random_layers((2, 3, 1, 24)), torch.ones(3, dtype=torch.bool, device=DEVICE))
    assert not score.scores().requires_grad


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_head_of_another_dtype(dtype, backend):
    head = random_head(2, 24).to(dtype)
    layers = random_layers((2, 3, 5, 24))
    actual = run(head, layers, None, backend).scores()
    head = head.float()
    with torch.no_grad():
        assert_accurate(actual, exact_scores(layers, head), eager_scores(layers, head))


@pytest.mark.parametrize("backend", BACKENDS)
def test_autocast_changes_nothing(backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 5, 24))
    expected = run(head, layers, None, backend).scores()
    with torch.autocast(DEVICE, torch.bfloat16):
        assert torch.equal(run(head, layers, None, backend).scores(), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_that_was_asked_for_runs(backend, monkeypatch):
    from swift_kernels.fused import ops

    ran = []
    monkeypatch.setattr(ops, "fused_step", lambda *args: ran.append("triton"))
    monkeypatch.setattr(running.RunningScore, "_add_with_torch", lambda *args: ran.append("torch"))
    run(random_head(2, 24), random_layers((2, 3, 1, 24)), None, backend)
    assert ran == [backend]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")], ids=str)
def test_what_is_not_finite_is_as_in_the_whole(value, backend):
    head = random_head(1, 4, gated=False).requires_grad_(False)
    head.reward_weight.fill_(1)
    layers = random_layers((1, 2, 3, 4))
    layers[0][0, 1, 0] = value
    scores = run(head, layers, None, backend).scores()
    whole = score_candidates(layers, head, backend=backend)
    torch.testing.assert_close(scores, whole, equal_nan=True)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_whatever_the_default_dtype(dtype, backend):
    head = random_head(2, 24)
    layers = random_layers((2, 3, 5, 24), torch.bfloat16)
    expected = run(head, layers, None, backend).scores()
    torch.set_default_dtype(dtype)
    try:
        scores = run(head, layers, None, backend).scores()
        whole = score_candidates(layers, head, backend=backend)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(scores, expected)
    torch.testing.assert_close(whole.detach(), expected)
