"""Inputs of the tests, their exact scores, and the paper's eager form as the limit of the error."""

import torch
from torch import Tensor

from swift_kernels import RewardHead, reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BACKENDS = ("torch", "triton")
DTYPES = (torch.float32, torch.float16, torch.bfloat16)

SHAPES = {  # L, N, T, H
    "ones": (1, 1, 1, 1),
    "one_token": (3, 5, 1, 24),
    "narrow": (4, 2, 33, 1),
    "odd": (3, 3, 7, 24),
    "power_of_2": (2, 2, 16, 256),
    "wide": (2, 2, 7, 577),
    "tiles": (2, 3, 33, 300),
    "many_tokens": (2, 5, 70, 17),
}

# Row n of N holds a different number of scored tokens in each.
MASKS = {
    "all": lambda n, t: None,
    "left_padding": lambda n, t: _position(n, t) >= _padding(n, t),
    "left_padding_int64": lambda n, t: (_position(n, t) >= _padding(n, t)).long(),
    "right_padding": lambda n, t: _position(n, t) < t - _padding(n, t),
    "holes_int64": lambda n, t: ((_position(n, t) + _row(n)) % 3 != 1).long(),
    "empty_row": lambda n, t: (_row(n) > 0).expand(n, t),
}


def _row(num_candidates: int) -> Tensor:
    return torch.arange(num_candidates, device=DEVICE)[:, None]


def _position(num_candidates: int, num_tokens: int) -> Tensor:
    return torch.arange(num_tokens, device=DEVICE).expand(num_candidates, num_tokens)


def _padding(num_candidates: int, num_tokens: int) -> Tensor:
    return (_row(num_candidates) + 1) * num_tokens // (num_candidates + 1)


def random_head(num_layers: int, hidden_size: int, seed: int = 0, **kwargs) -> RewardHead:
    """A head whose rewards and gate logits are about normal, and whose biases are not zero."""
    head = RewardHead(num_layers, hidden_size, **kwargs)
    generator = torch.Generator().manual_seed(seed)
    scale = (head.num_selected * hidden_size) ** -0.5
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
        head.reward_bias.fill_(0.7)
        if head.gated:
            head.gate_bias.fill_(-0.4)
    return head.to(DEVICE)


def random_layers(shape, dtype=torch.float32, seed: int = 1) -> tuple[Tensor, ...]:
    """L tensors `[N, T, H]`."""
    generator = torch.Generator().manual_seed(seed)
    stacked = torch.randn(shape, generator=generator).to(DEVICE, dtype)
    return tuple(layer.clone() for layer in stacked)


def fill_padding(layers, mask: Tensor | None) -> tuple[Tensor, ...]:
    """The layers with NaN and inf where nothing is scored."""
    if mask is None:
        return tuple(layers)
    unscored = (mask == 0)[..., None]  # [N, T, 1]
    garbage = (float("nan"), float("inf"), float("-inf"))
    return tuple(
        torch.where(unscored, garbage[index % 3], layer) for index, layer in enumerate(layers)
    )


def cumulative_lengths(lengths, dtype: torch.dtype = torch.int32) -> Tensor:
    """`cu_seqlens` `[N + 1]` of a pack."""
    return torch.tensor([0, *lengths]).cumsum(0).to(DEVICE, dtype)


def each_candidate(scores_of, layers, head: RewardHead, cu_seqlens, mask: Tensor | None = None):
    """`exact_scores` or `eager_scores` of L packed tensors `[total_tokens, H]`, one by one."""
    scores = [scores_of([layer[None, :0] for layer in layers], head)[:0]]
    for start, end in zip(cu_seqlens[:-1].tolist(), cu_seqlens[1:].tolist(), strict=True):
        own = [layer[None, start:end] for layer in layers]  # L of [1, T, H]
        scores.append(scores_of(own, head, None if mask is None else mask[None, start:end]))
    return torch.cat(scores)


def exact_values(layers, head: RewardHead) -> tuple[Tensor, Tensor]:
    """float64 rewards and gates, `[N, T]` each."""
    names = ("reward_weight", "reward_bias", "gate_weight", "gate_bias")
    weights = [getattr(head, name) for name in names]
    weights = [weight if weight is None else weight.double() for weight in weights]
    return reference.token_values(torch.stack([*layers]).double(), *weights)


def exact_scores(layers, head: RewardHead, mask: Tensor | None = None) -> Tensor:
    """float64 `[N]`."""
    return reference.average_tokens(
        *exact_values(layers, head), None if mask is None else mask != 0
    )


def eager_values(layers, head: RewardHead) -> tuple[Tensor, Tensor]:
    """Rewards and gates in the paper's form: all layers side by side in float32, one Linear."""
    features = torch.cat([layer.float() for layer in layers], dim=-1)  # [N, T, L*H]
    if not head.gated:
        weight, bias = head.reward_weight.reshape(1, -1), head.reward_bias[None]
        rewards = torch.nn.functional.linear(features, weight, bias)[..., 0]
        return rewards, torch.ones_like(rewards)
    weight = torch.stack([head.gate_weight.flatten(), head.reward_weight.flatten()])
    bias = torch.stack([head.gate_bias, head.reward_bias])
    gates, rewards = torch.nn.functional.linear(features, weight, bias).unbind(-1)
    return rewards, torch.sigmoid(gates)


def eager_scores(layers, head: RewardHead, mask: Tensor | None = None) -> Tensor:
    """float32 `[N]` in the paper's form; 0 for a candidate with no scored token."""
    rewards, gates = eager_values(layers, head)
    keep = torch.ones_like(rewards) if mask is None else (mask != 0).float()
    return (gates * rewards * keep).sum(1) / (gates * keep).sum(1).clamp(min=1e-8)


def assert_accurate(actual: Tensor, exact: Tensor, eager: Tensor) -> None:
    """The error is at most twice that of eager PyTorch; -inf stands where it should.

    On small shapes eager is exact by luck, so four roundings of a number of that size are allowed.
    That eager itself is near says that all three compute the same thing.
    """
    is_number = exact.isfinite()
    assert actual.dtype == torch.float32
    assert actual.shape == exact.shape
    assert torch.equal(actual[~is_number].double(), exact[~is_number])
    actual, exact, eager = actual[is_number].double(), exact[is_number], eager[is_number].double()
    if not len(exact):
        return
    scale = max(1.0, exact.abs().max().item())
    slack = 4 * torch.finfo(torch.float32).eps * scale
    actual_error = (actual - exact).abs().max().item()
    eager_error = (eager - exact).abs().max().item()
    assert eager_error <= 1e-5 * scale, f"{eager_error=:.2e}: the limit is none"
    assert actual_error <= 2 * eager_error + slack, f"{actual_error=:.2e} {eager_error=:.2e}"


def assert_same_head(actual: RewardHead, expected: RewardHead) -> None:
    assert actual.config() == expected.config()
    assert actual.state_dict().keys() == expected.state_dict().keys()
    for name, value in actual.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected.state_dict()[name]), name
