"""The definition of a SWIFT score, executable in any precision. Every fast path is tested on it.

Source: arXiv 2505.12225, section 3; the notation is the one of the README.
"""

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
    rewards = torch.einsum("lnth,lh->nt", hidden, reward_weight) + reward_bias  # [N, T]
    if gate_weight is None:
        return rewards, torch.ones_like(rewards)
    gates = torch.sigmoid(torch.einsum("lnth,lh->nt", hidden, gate_weight) + gate_bias)  # [N, T]
    return rewards, gates


def average_tokens(
    rewards: Tensor,  # [N, T]
    gates: Tensor,  # [N, T]
    scored: Tensor | None,  # [N, T] bool, None: all
) -> Tensor:
    """Gate-weighted average of the rewards over the scored tokens, `[N]`; -inf without any."""
    if scored is None:
        scored = torch.ones_like(rewards, dtype=torch.bool)
    weighted = torch.where(scored, gates * rewards, 0)  # select: 0 * NaN would be NaN
    weighted_sum = weighted.sum(dim=-1)  # [N]
    gate_sum = torch.where(scored, gates, 0).sum(dim=-1)  # [N]
    return divide_sums(weighted_sum, gate_sum, scored.any(dim=-1))


def divide_sums(weighted_sum: Tensor, gate_sum: Tensor, has_tokens: Tensor) -> Tensor:
    """The score from its two running sums, `[N]`; -inf for a candidate with no scored token."""
    scores = weighted_sum / gate_sum.clamp(min=GATE_SUM_FLOOR)
    return torch.where(has_tokens, scores, float("-inf"))


def score(hidden, reward_weight, reward_bias, gate_weight, gate_bias, scored=None) -> Tensor:
    """Scores of N candidates, `[N]`: `token_values`, then `average_tokens`."""
    values = token_values(hidden, reward_weight, reward_bias, gate_weight, gate_bias)
    return average_tokens(*values, scored)
