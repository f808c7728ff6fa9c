"""Scores of candidates whose tokens lie one after the other, without padding."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_kernels.backends import Backend, choose_backend
from swift_kernels.checks import check_cu_seqlens, check_packed_mask, check_packed_states
from swift_kernels.head import RewardHead
from swift_kernels.project import token_values
from swift_kernels.reference import average_tokens
from swift_kernels.scoring import CandidateScores, hide_masked


def score_packed(
    hidden_states: Sequence[Tensor] | Tensor,
    head: RewardHead,
    cu_seqlens: Tensor,
    attention_mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    return_token_scores: bool = False,
) -> Tensor | CandidateScores:
    """`score_candidates` on token-packed states, as inference engines and feature stores hold them.

    Args:
        hidden_states: L tensors `[total_tokens, H]`, or one `[L, total_tokens, H]`; float32,
            float16 or bfloat16, any strides. Where the head selects layers, either just those or
            all of them.
        head: the trained weights, on the same device.
        cu_seqlens: int32 or int64 `[N + 1]`, on the same device: candidate n has the tokens from
            `cu_seqlens[n]` to `cu_seqlens[n + 1]`; it starts with 0, ends with total_tokens and
            never falls. On a GPU its values are not checked, as that would make the host wait.
        attention_mask: `[total_tokens]` bool or integer, 1 = scored: the response tokens, where an
            engine holds prompts too. None scores every token.
        backend, return_token_scores: as in `score_candidates`; token values are `[total_tokens]`.

    Returns:
        float32 `[N]`, higher is better, -inf for a candidate with no scored token; or
        `CandidateScores`. Differentiable with respect to the head.

    Raises:
        TypeError, ValueError: an input does not fit the head; the message says which and why.
    """
    layers = check_packed_states(hidden_states, head)  # L of [1, total_tokens, H]
    num_tokens, device = layers[0].shape[1], layers[0].device
    cu_seqlens = check_cu_seqlens(cu_seqlens, num_tokens, device)
    scored = check_packed_mask(attention_mask, num_tokens, device)  # [1, total_tokens]
    num_candidates = len(cu_seqlens) - 1
    if choose_backend(backend, device) == "triton" and num_tokens * num_candidates > 0:
        from swift_kernels.ops import fused_score

        scores, _, rewards, gates = fused_score(layers, head, scored, cu_seqlens)
    else:
        rewards, gates = token_values(layers, head, scored)
        scores = _average_padded(rewards, gates, scored, cu_seqlens)
    if not return_token_scores:
        return scores
    return CandidateScores(scores, hide_masked(rewards, scored)[0], hide_masked(gates, scored)[0])


def _average_padded(
    rewards: Tensor,  # [1, total_tokens]
    gates: Tensor,  # [1, total_tokens]
    scored: Tensor | None,  # [1, total_tokens] bool, None: all
    cu_seqlens: Tensor,  # [N + 1]
) -> Tensor:
    """`average_tokens` of each candidate, `[N]`: sums in a fixed order, unlike scattered ones."""
    lengths = cu_seqlens.diff()  # [N]
    longest = int(lengths.max()) if len(lengths) else 0
    position = torch.arange(longest, device=cu_seqlens.device)
    keep = position < lengths[:, None]  # [N, longest]
    source = torch.where(keep, cu_seqlens[:-1, None] + position, 0)
    if scored is not None:
        keep = keep & scored[0, source]
    return average_tokens(rewards[0, source], gates[0, source], keep)
