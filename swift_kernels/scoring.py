"""Scores of N candidates from the hidden states of all their tokens."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, overload

from torch import Tensor

from swift_kernels import fused
from swift_kernels.backends import Backend, choose_backend
from swift_kernels.input_checks import check_attention_mask, check_hidden_states
from swift_kernels.masks import as_bool, hide_masked
from swift_kernels.project import token_values
from swift_kernels.reference import average_tokens
from swift_kernels.weights import HeadWeights


class CandidateScores(NamedTuple):
    """Scores, and the values of each token that they average. Masked tokens have NaN.

    >>> import torch
    >>> from swift_kernels import RewardHead, score_candidates
    >>> head, states = RewardHead(num_layers=2, hidden_size=4), torch.zeros(2, 3, 5, 4)
    >>> values = score_candidates(states, head, return_token_scores=True)
    >>> values.scores.shape, values.rewards.shape, values.gates.shape
    (torch.Size([3]), torch.Size([3, 5]), torch.Size([3, 5]))
    """

    scores: Tensor  # [N]
    rewards: Tensor  # [N, T]
    gates: Tensor  # [N, T]


@overload
def score_candidates(
    hidden_states: Sequence[Tensor] | Tensor,
    head: HeadWeights,
    attention_mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    return_token_scores: Literal[False] = False,
) -> Tensor: ...
@overload
def score_candidates(
    hidden_states: Sequence[Tensor] | Tensor,
    head: HeadWeights,
    attention_mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    return_token_scores: Literal[True],
) -> CandidateScores: ...
@overload
def score_candidates(
    hidden_states: Sequence[Tensor] | Tensor,
    head: HeadWeights,
    attention_mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    return_token_scores: bool,
) -> Tensor | CandidateScores: ...
def score_candidates(
    hidden_states: Sequence[Tensor] | Tensor,
    head: HeadWeights,
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
        backend: "triton" is one fused pass on a GPU, and one more for the gradient of the head;
            "torch" runs anywhere; "auto" chooses.
        return_token_scores: also return the rewards and gates of each token.

    Returns:
        float32 `[N]`, higher is better, -inf for a candidate with no scored token; or
        `CandidateScores`. Differentiable with respect to the head, whose parameters ask for
        gradients by default: under `torch.no_grad()` the states can be freed at once.

    Raises:
        TypeError, ValueError: an input does not fit the head; the message says which and why.

    >>> import torch
    >>> from swift_kernels import RewardHead, score_candidates
    >>> weights = {"reward_weight": torch.ones(1, 2), "reward_bias": torch.zeros(())}
    >>> head = RewardHead.from_tensors(weights, num_layers=1, hidden_size=2, gated=False)
    >>> states = torch.arange(8.0).view(1, 2, 2, 2)  # L, N, T, H: rewards 1 and 5, then 9 and 13
    >>> score_candidates(states, head, attention_mask=torch.tensor([[1, 1], [0, 1]])).tolist()
    [3.0, 13.0]
    """
    layers = check_hidden_states(hidden_states, head)
    num_candidates, num_tokens, _ = layers[0].shape
    scored = check_attention_mask(attention_mask, num_candidates, num_tokens, layers[0].device)
    backend = choose_backend(backend, layers[0].device)
    if backend == "triton" and num_tokens * num_candidates > 0:
        scores, _, rewards, gates = fused.ops.fused_score(layers, head, scored)
    else:
        scored = as_bool(scored)
        rewards, gates = token_values(layers, head, scored)
        scores = average_tokens(rewards, gates, scored)
    if not return_token_scores:
        return scores
    return CandidateScores(scores, hide_masked(rewards, scored), hide_masked(gates, scored))
