"""The definition of a SWIFT score, executable in any precision. Every fast path is tested on it.

Source: arXiv 2505.12225, section 3; the notation is the one of the README.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

GATE_SUM_FLOOR = 1e-8  # the paper's guard against a division by zero


def token_values(
    hidden: Tensor,  # [L, N, T, H]
    reward_weight: Tensor,  # [L, H]
    reward_bias: Tensor,  # []
    gate_weight: Tensor | None,  # [L, H], None: no gate
    gate_bias: Tensor | None,  # []
) -> tuple[Tensor, Tensor]:
    """Rewards and gates of every token, `[N, T]` each, in the precision of the inputs."""
    weights = [weight for weight in (reward_weight, gate_weight) if weight is not None]
    biases = [bias for bias in (reward_bias, gate_bias) if bias is not None]
    projected = [torch.einsum("lnth,lh->nt", hidden, weight) for weight in weights]
    return rewards_and_gates(projected, biases)


def rewards_and_gates(
    projected: Tensor | Sequence[Tensor],  # R of [...]: <h, reward_weight>, <h, gate_weight>
    biases: Tensor | Sequence[Tensor],  # R of []
) -> tuple[Tensor, Tensor]:
    """From the dot products of tokens, `[...]` each; R is 2 with a gate, 1 without."""
    rewards = projected[0] + biases[0]
    if len(projected) == 1:
        return rewards, torch.ones_like(rewards)
    return rewards, torch.sigmoid(projected[1] + biases[1])


def average_tokens(
    rewards: Tensor,  # [N, T]
    gates: Tensor,  # [N, T]
    scored: Tensor | None,  # [N, T] bool, None: all
) -> Tensor:
    """Gate-weighted average of the rewards over the scored tokens, `[N]`; -inf without any."""
    if scored is None:
        scored = torch.ones_like(rewards, dtype=torch.bool)
    terms = score_terms(rewards, gates)
    # select: 0 * NaN would be NaN
    weighted_sum, gate_sum = (torch.where(scored, term, 0).sum(dim=-1) for term in terms)  # [N]
    return divide_sums(weighted_sum, gate_sum, scored.any(dim=-1))


def score_terms(rewards: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
    """What each token adds to the two sums of a score."""
    return gates * rewards, gates


def divide_sums(weighted_sum: Tensor, gate_sum: Tensor, has_tokens: Tensor) -> Tensor:
    """The score from its two running sums, `[N]`; -inf for a candidate with no scored token."""
    return torch.where(has_tokens, divide_by_gates(weighted_sum, gate_sum), float("-inf"))


def divide_by_gates(value: Tensor, gate_sum: Tensor) -> Tensor:
    """The value per gate, where the gates are not all but closed."""
    return value / gate_sum.clamp(min=GATE_SUM_FLOOR)


def score(
    hidden: Tensor,
    reward_weight: Tensor,
    reward_bias: Tensor,
    gate_weight: Tensor | None,
    gate_bias: Tensor | None,
    scored: Tensor | None = None,
) -> Tensor:
    """Scores of N candidates, `[N]`: `token_values`, then `average_tokens`."""
    values = token_values(hidden, reward_weight, reward_bias, gate_weight, gate_bias)
    return average_tokens(*values, scored)
