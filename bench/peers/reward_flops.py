"""FLOPs per candidate of the reward models and of SWIFT, counted on the meta device.

`FlopCounterMode` counts matrix products: a multiplication and an addition are two, and attention
counts in full, without the half that the causal mask leaves out. Every count is held against
the arithmetic of the configuration; a count that is off ends the run.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedConfig

from peers.baselines import RewardModel, build_policy, build_reward_model
from peers.eager_head import EagerHead
from swift_bon.models.prefix import CACHE_ARGUMENT, find_cache
from swift_kernels import RewardHead

ATTENTION_TOLERANCE = 0.01  # some versions turn the rotary angles with a matrix product


def reward_model_flops(model: RewardModel, num_tokens: int, *, small: bool = False) -> dict:
    """Parameters, and FLOPs of one forward over `num_tokens` prompt and response tokens."""
    built = build_reward_model(model, "meta", small=small)
    num_outputs = 1 if model.score_read == "scalar" else built.config.vocab_size
    return {
        "name": model.name,
        "base": model.base,
        "score_read": model.score_read,
        "source": model.source,
        "parameters": sum(parameter.numel() for parameter in built.parameters()),
        # with a cache transformers does not look for packed sequences, which reads values
        "flops": _forward(model.name, built, num_outputs, _ids(num_tokens), use_cache=True),
    }


def swift_flops(
    policy: str, prompt_tokens: int, response_tokens: int, *, small: bool = False
) -> dict:
    """FLOPs per candidate of SWIFT on one policy model, by each way of `reward_tables.WAYS`."""
    model = build_policy(policy, "meta", small=small)
    vocab_size, input_ids = model.config.vocab_size, _ids(prompt_tokens + response_tokens)
    cache = {CACHE_ARGUMENT: find_cache(model(input_ids=input_ids[:, :-1], use_cache=True))}
    step = _forward(f"{policy}, one step", model, vocab_size, input_ids, 1, **cache)
    forward = _forward(policy, model, vocab_size, input_ids, use_cache=True)
    num_layers, hidden_size = model.config.num_hidden_layers + 1, model.config.hidden_size
    head = head_flops(num_layers, hidden_size, response_tokens)
    return {
        "policy": policy,
        "num_layers": num_layers,
        "hidden_size": hidden_size,
        "head": head,
        "generate_fed": head_flops(num_layers, hidden_size, response_tokens - 1),
        "generate_response": head + step,
        "second_forward": forward + head,
    }


def _ids(num_tokens: int) -> Tensor:
    return torch.zeros(1, num_tokens, dtype=torch.long, device="meta")


def _forward(
    name: str, model, num_outputs: int, input_ids: Tensor, num_fed: int | None = None, **arguments
) -> int:
    """FLOPs of a forward of the last `num_fed` tokens, by default all, counted and checked."""
    context = input_ids.shape[1]
    num_fed = num_fed or context
    counted = count_flops(lambda: model(input_ids=input_ids[:, -num_fed:], **arguments))
    check_flops(name, counted, forward_flops(model.config, num_outputs, num_fed, context))
    return counted


def head_flops(num_layers: int, hidden_size: int, num_tokens: int) -> int:
    """4 * L * H per token: the reward's and the gate's dot products."""
    with torch.device("meta"):
        head = EagerHead(RewardHead(num_layers, hidden_size))
        layers = [torch.empty(1, num_tokens, hidden_size) for _ in range(num_layers)]
    counted, expected = count_flops(lambda: head(layers)), 4 * num_layers * hidden_size * num_tokens
    if counted != expected:
        raise SystemExit(f"the head has {counted} FLOPs, expected 4 * L * H * T = {expected}")
    return counted


def count_flops(function: Callable[[], Any]) -> int:
    # attention as plain matrix products: no fused form that a counter may not know
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        function()
    return counter.get_total_flops()


def forward_flops(
    config: PreTrainedConfig, num_outputs: int, num_tokens: int, context: int
) -> tuple[int, int]:
    """FLOPs of the linear layers and of attention, from a configuration with gated MLPs.

    Args:
        num_outputs: of the layer after the last hidden state: 1, or the vocabulary.
        num_tokens: tokens that go through the model.
        context: tokens that each of them attends to, the masked ones included.
    """
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    per_block = config.hidden_size * (2 * queries + 2 * keys + 3 * config.intermediate_size)
    weights = config.num_hidden_layers * per_block + num_outputs * config.hidden_size
    attention = 4 * config.num_hidden_layers * queries * num_tokens * context
    return 2 * num_tokens * weights, attention


def check_flops(name: str, counted: int, expected: tuple[int, int]) -> None:
    """End the run unless attention was counted, and nothing else beside the linear layers."""
    linear, attention = expected
    if abs(counted - linear - attention) > ATTENTION_TOLERANCE * attention:
        raise SystemExit(
            f"{name}: counted {counted:.4e} FLOPs, expected {linear:.4e} in linear layers "
            f"and {attention:.4e} in attention"
        )
