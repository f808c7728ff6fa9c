"""The truth that is compared with: one plain forward per text, scored in float64.

Nothing here is shared with the code that is judged: no padding, no cache, no hook on a block, and
the formula written out.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._dynamo import OptimizedModule

from swift_kernels import RewardHead

KINDS = ("reward", "gate")  # of weights in a head


class OwnReading(NamedTuple):
    """What the plain forward says of one candidate."""

    states: Tensor  # [L, T, H] of the response's tokens that count, in the model's dtype
    score: float
    state_noise: float  # how far rounding alone moves a state, relative to its length
    score_noise: float  # and the score


def uncompiled(model: Any) -> Any:
    """What the compiled module was made of, which runs as it is written."""
    while isinstance(model, OptimizedModule):
        model = model._orig_mod
    return model


def device_of(model: Any) -> torch.device:
    """Where token ids go; weights that are offloaded are fetched by the model itself."""
    device = next(uncompiled(model).parameters()).device
    return torch.device("cpu") if device.type == "meta" else device


@torch.no_grad()
def own_states(model: Any, token_ids: Sequence[int]) -> tuple[Tensor, ...]:
    """L tensors `[T, H]`: all hidden states of one text, by `output_hidden_states`."""
    ids = torch.tensor([list(token_ids)], dtype=torch.int64, device=device_of(model))
    outputs = uncompiled(model)(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        output_hidden_states=True,
        use_cache=False,
        return_dict=True,
    )
    if outputs.hidden_states is None:
        raise ValueError("the model returns no hidden_states when output_hidden_states is True")
    return tuple(state[0, -len(token_ids) :] for state in outputs.hidden_states)


def read_candidate(
    model: Any, prompt_ids: Sequence[int], token_ids: Sequence[int], head: RewardHead
) -> OwnReading:
    """Its states and its score, and what a rounding error at the model's input does to them.

    The scored tokens are all but the last, or all where the head says "response".
    """
    num_scored = len(token_ids) - (head.scored_tokens == "fed")
    text = [*prompt_ids, *token_ids]

    def states() -> Tensor:
        layers = own_states(model, text)
        rows = slice(len(prompt_ids), len(prompt_ids) + num_scored)
        return torch.stack([layer[rows].cpu() for layer in layers])

    plain = states()
    with rounding_error(model, seed=len(text)):
        moved = states()
    score = own_score(plain, head)
    score_noise = abs(own_score(moved, head) - score) if num_scored else 0.0
    return OwnReading(plain, score, relative_distance(moved, plain), score_noise)


def own_score(states: Tensor, head: RewardHead) -> float:
    """`sum_t gate*reward / max(sum_t gate, 1e-8)` of `[L, T, H]`, in float64; -inf of no token."""
    if states.shape[1] == 0:
        return float("-inf")
    rewards = _project(states, head, head.reward_weight, head.reward_bias)  # [T]
    gates = torch.ones_like(rewards)
    if head.gate_weight is not None and head.gate_bias is not None:
        gates = _project(states, head, head.gate_weight, head.gate_bias).sigmoid()
    return float((gates * rewards).sum() / gates.sum().clamp(min=1e-8))


def _project(states: Tensor, head: RewardHead, weight: Tensor, bias: Tensor) -> Tensor:
    layers = range(len(states)) if head.layers is None else head.layers
    total = bias.detach().double().cpu().expand(states.shape[1])  # [T]
    for row, layer in enumerate(layers):
        total = total + states[layer].double() @ weight[row].detach().double().cpu()
    return total


def score_rounding(states: Tensor, head: RewardHead) -> float:
    """What summing in float32 may cost a score: four roundings of the sum of all magnitudes."""
    if states.shape[1] == 0:
        return 0.0
    magnitude = torch.zeros(states.shape[1], dtype=torch.float64, device="cpu")
    layers = range(len(states)) if head.layers is None else head.layers
    for row, layer in enumerate(layers):
        weight = head.reward_weight[row].detach().double().cpu()
        magnitude += states[layer].double().abs() @ weight.abs()
    return float(4 * torch.finfo(torch.float32).eps * magnitude.max())


def relative_distance(states: Tensor, other: Tensor) -> float:
    """The largest distance of a token's state from the other, relative to the other's length."""
    if states.numel() == 0:
        return 0.0
    lengths = other.double().norm(dim=-1).clamp(min=torch.finfo(torch.float32).tiny)
    return float(((states.double() - other.double()).norm(dim=-1) / lengths).max())


@contextlib.contextmanager
def rounding_error(model: Any, seed: int) -> Iterator[None]:
    """While open, each number out of the embedding is off by one rounding of its dtype."""

    def move(module: Any, args: Any, output: Any) -> Any:
        if not isinstance(output, Tensor):
            return output
        generator = torch.Generator(device="cpu").manual_seed(seed)
        signs = torch.empty(output.shape, dtype=torch.int64, device="cpu")
        signs = signs.random_(2, generator=generator) * 2 - 1
        steps = signs.to(output.device, torch.float32) * torch.finfo(output.dtype).eps
        return (output.float() * (1 + steps)).to(output.dtype)

    handle = uncompiled(model).get_input_embeddings().register_forward_hook(move)
    try:
        yield
    finally:
        handle.remove()


def random_head(model: Any, token_ids: Sequence[int], seed: int) -> RewardHead:
    """A head of the model's shape in which every layer weighs the same on this text.

    Without that, one layer's outliers would shut the gate and hide what the others hold.
    """
    states = own_states(model, token_ids)
    num_layers, hidden_size = len(states), states[0].shape[-1]
    generator = torch.Generator(device="cpu").manual_seed(seed)
    tensors = {}
    for name in KINDS:
        drawn = torch.empty(num_layers, hidden_size, dtype=torch.float32, device="cpu")
        drawn.normal_(generator=generator)
        sizes = [state.float().pow(2).mean().sqrt().clamp(min=1e-6).cpu() for state in states]
        scale = torch.stack(sizes)[:, None] * (num_layers * hidden_size) ** 0.5
        tensors[f"{name}_weight"] = drawn / scale
        tensors[f"{name}_bias"] = torch.zeros((), dtype=torch.float32, device="cpu")
    return RewardHead.from_tensors(tensors, num_layers, hidden_size)


def shaped_head(model: Any) -> RewardHead:
    """A head of zeros, of the shape that the model's configuration names."""
    config = getattr(model, "config", None)
    layers = getattr(config, "num_hidden_layers", 0) + 1
    size = getattr(config, "hidden_size", 1)
    zeros = torch.zeros(layers, size, dtype=torch.float32, device="cpu")
    weights = {f"{name}_weight": zeros for name in KINDS}
    biases = {f"{name}_bias": zeros.sum() for name in KINDS}
    return RewardHead.from_tensors(weights | biases, layers, size)
