"""Scores of candidates whose tokens lie one after the other, without padding."""

from collections.abc import Sequence
from typing import Literal, overload

import torch
from torch import Tensor

from swift_kernels import fused
from swift_kernels.backends import Backend, choose_backend
from swift_kernels.input_checks import check_cu_seqlens, check_packed_mask, check_packed_states
from swift_kernels.masks import as_bool, hide_masked, is_in_pack
from swift_kernels.project import token_values
from swift_kernels.reference import divide_sums, score_terms
from swift_kernels.scoring import CandidateScores
from swift_kernels.weights import HeadWeights


@overload
def score_packed(
    hidden_states: Sequence[Tensor] | Tensor,
    head: HeadWeights,
    cu_seqlens: Tensor,
    attention_mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    return_token_scores: Literal[False] = False,
) -> Tensor: ...
@overload
def score_packed(
    hidden_states: Sequence[Tensor] | Tensor,
    head: HeadWeights,
    cu_seqlens: Tensor,
    attention_mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    return_token_scores: Literal[True],
) -> CandidateScores: ...
@overload
def score_packed(
    hidden_states: Sequence[Tensor] | Tensor,
    head: HeadWeights,
    cu_seqlens: Tensor,
    attention_mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    return_token_scores: bool,
) -> Tensor | CandidateScores: ...
def score_packed(
    hidden_states: Sequence[Tensor] | Tensor,
    head: HeadWeights,
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
            `cu_seqlens[n]` to `cu_seqlens[n + 1]`; it starts with 0 and never falls. What lies
            behind its end is not scored, so a pack may be longer than its candidates. On a GPU its
            values are not checked, as that would make the host wait.
        attention_mask: `[total_tokens]` bool or integer, 1 = scored: the response tokens, where an
            engine holds prompts too. None scores every token.
        backend, return_token_scores: as in `score_candidates`; token values are `[total_tokens]`.

    Returns:
        float32 `[N]`, higher is better, -inf for a candidate with no scored token; or
        `CandidateScores`. Differentiable with respect to the head.

    Raises:
        TypeError, ValueError: an input does not fit the head; the message says which and why.

    >>> import torch
    >>> from swift_kernels import RewardHead, score_packed
    >>> weights = {"reward_weight": torch.ones(1, 2), "reward_bias": torch.zeros(())}
    >>> head = RewardHead.from_tensors(weights, num_layers=1, hidden_size=2, gated=False)
    >>> states = torch.arange(6.0).view(1, 3, 2)  # L, total_tokens, H: rewards 1, 5 and 9
    >>> score_packed(states, head, cu_seqlens=torch.tensor([0, 2, 3])).tolist()
    [3.0, 9.0]
    """
    layers = check_packed_states(hidden_states, head)  # L of [1, total_tokens, H]
    num_tokens, device = layers[0].shape[1], layers[0].device
    cu_seqlens = check_cu_seqlens(cu_seqlens, num_tokens, device)
    scored = check_packed_mask(attention_mask, num_tokens, device)  # [1, total_tokens]
    num_candidates = len(cu_seqlens) - 1
    if choose_backend(backend, device) == "triton" and num_tokens * num_candidates > 0:
        scores, _, rewards, gates = fused.ops.fused_score(layers, head, scored, cu_seqlens)
    else:
        keep = _is_scored(scored, cu_seqlens, num_tokens)
        rewards, gates = token_values(layers, head, keep)
        scores = _average_segments(rewards[0], gates[0], keep[0], cu_seqlens)
    if not return_token_scores:
        return scores
    keep = _is_scored(scored, cu_seqlens, num_tokens)
    rewards, gates = (hide_masked(values, keep)[0] for values in (rewards, gates))
    return CandidateScores(scores, rewards, gates)


def _is_scored(scored: Tensor | None, cu_seqlens: Tensor, num_tokens: int) -> Tensor:
    """bool `[1, total_tokens]`: in the mask, and of a candidate."""
    in_pack = is_in_pack(cu_seqlens, num_tokens)[None]
    return in_pack if scored is None else in_pack & as_bool(scored)


def _average_segments(
    rewards: Tensor,  # [total_tokens]
    gates: Tensor,  # [total_tokens]
    scored: Tensor,  # [total_tokens] bool
    cu_seqlens: Tensor,  # [N + 1]
) -> Tensor:
    """`average_tokens` of each candidate, `[N]`, one after the other in float64."""
    ends = torch.cat([cu_seqlens, cu_seqlens.new_tensor([len(rewards)])])  # the tail is one too
    terms = torch.stack([*score_terms(rewards, gates), torch.ones_like(gates)], dim=1)
    terms = torch.where(scored[:, None], terms, 0).double()  # [total_tokens, 3]
    sums = torch.segment_reduce(terms, "sum", lengths=ends.diff(), initial=0)[:-1]  # [N, 3]
    weighted_sum, gate_sum, num_scored = sums.unbind(1)
    return divide_sums(weighted_sum, gate_sum, num_scored > 0).float()
