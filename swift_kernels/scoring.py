"""Scores of N candidates from the hidden states of all their tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from swift_kernels.backends import Backend, choose_backend
from swift_kernels.checks import check_attention_mask, check_hidden_states
from swift_kernels.head import RewardHead
from swift_kernels.project import project_tokens
from swift_kernels.reference import average_tokens


class CandidateScores(NamedTuple):
    """Scores, and the values of each token that they average. Masked tokens have NaN."""

    scores: Tensor  # [N]
    rewards: Tensor  # [N, T]
    gates: Tensor  # [N, T]


def score_candidates(
    hidden_states: Sequence[Tensor] | Tensor,
    head: RewardHead,
    attention_mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    return_token_scores: bool = False,
) -> Tensor | CandidateScores:
    """Score N candidates with a SWIFT head (arXiv 2505.12225, section 3).

    Args:
        hidden_states: L tensors `[N, T, H]` as Hugging Face returns them, or one `[L, N, T, H]`;
            float32, float16 or bfloat16, any strides. Where the head selects layers, either just
            those or all of them.
        head: the trained weights, on the same device.
        attention_mask: `[N, T]` bool or integer, 1 = scored; padding on any side, holes allowed.
            None scores every token. Masked positions may hold NaN or inf.
        backend: "triton" is one fused pass on a GPU, "torch" runs anywhere, "auto" chooses.
            Where a gradient is asked for, PyTorch runs whatever the backend.
        return_token_scores: also return the rewards and gates of each token.

    Returns:
        float32 `[N]`, higher is better, -inf for a candidate with no scored token; or
        `CandidateScores`. Differentiable with respect to the head, whose parameters ask for
        gradients by default: call it under `torch.no_grad()` to only score.

    Raises:
        TypeError, ValueError: an input does not fit the head; the message says which and why.
    """
    layers = check_hidden_states(hidden_states, head)
    num_candidates, num_tokens, _ = layers[0].shape
    scored = check_attention_mask(attention_mask, num_candidates, num_tokens, layers[0].device)
    backend = choose_backend(backend, layers[0].device)
    needs_grad = torch.is_grad_enabled() and (
        any(parameter.requires_grad for parameter in head.parameters())
        or any(layer.requires_grad for layer in layers)
    )
    if backend == "triton" and not needs_grad and num_tokens * num_candidates > 0:
        from swift_kernels.score_kernel import launch_score

        result = CandidateScores(*launch_score(layers, head, scored, return_token_scores))
    else:
        result = _score_with_torch(layers, head, scored)
    if not return_token_scores:
        return result.scores
    if scored is None:
        return result
    rewards, gates = (torch.where(scored, values, float("nan")) for values in result[1:])
    return CandidateScores(result.scores, rewards, gates)


def _score_with_torch(layers, head: RewardHead, scored: Tensor | None) -> CandidateScores:
    projected = project_tokens(layers, head.stacked_weight())  # [R, N, T]
    if scored is not None:  # before the sigmoid: its gradient at NaN is NaN, even times 0
        projected = torch.where(scored, projected, 0)
    rewards = projected[0] + head.reward_bias
    gates = torch.sigmoid(projected[1] + head.gate_bias) if head.gated else torch.ones_like(rewards)
    return CandidateScores(average_tokens(rewards, gates, scored), rewards, gates)
