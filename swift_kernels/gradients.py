"""From the gradient of the scores to that of each token, and of each hidden state.

With W and G the sums of gate * reward and of the gate over the scored tokens, and f the floor of G,
score = W / max(G, f):

    d score / d reward[t] = gate[t] / max(G, f)
    d score / d gate[t]   = (reward[t] - score) / G   where G >= f, else reward[t] / f
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_kernels.masks import is_in_pack
from swift_kernels.reference import GATE_SUM_FLOOR, divide_by_gates


def token_gradients(
    grad_scores: Tensor,  # [N]
    grad_rewards: Tensor,  # [N, T], packed: [1, total_tokens], as all below
    grad_gates: Tensor,
    scores: Tensor,  # [N]
    gate_sums: Tensor,  # [N]
    rewards: Tensor,
    gates: Tensor,
    scored: Tensor | None,  # bool
    cu_seqlens: Tensor | None,  # [N + 1] if packed
    gated: bool,
) -> Tensor:
    """With respect to rewards, and with a gate to gate logits: `[R, N, T]`, 0 where masked."""
    above_floor = gate_sums >= GATE_SUM_FLOOR
    per_gate_sum = divide_by_gates(grad_scores, gate_sums)  # [N]
    center = torch.where(above_floor, scores, 0)  # [N]
    per_gate_sum, center = (
        _spread(value, cu_seqlens, rewards.shape[1]) for value in (per_gate_sum, center)
    )
    grads = [per_gate_sum * gates + grad_rewards]
    if gated:
        grad_gates = per_gate_sum * (rewards - center) + grad_gates
        grads.append(grad_gates * gates * (1 - gates))
    token_grads = torch.stack(grads)  # [R, N, T]
    if scored is not None:
        token_grads = torch.where(scored, token_grads, 0)
    if cu_seqlens is not None:
        token_grads = torch.where(is_in_pack(cu_seqlens, rewards.shape[1]), token_grads, 0)
    return token_grads


def _spread(values: Tensor, cu_seqlens: Tensor | None, num_tokens: int) -> Tensor:
    """One number per candidate, to each of its tokens: `[N, 1]`, packed `[1, total_tokens]`."""
    if cu_seqlens is None:
        return values[:, None]
    position = torch.arange(num_tokens, device=cu_seqlens.device, dtype=cu_seqlens.dtype)
    candidate = torch.searchsorted(cu_seqlens[1:], position, right=True)
    return values[candidate.clamp(max=len(values) - 1)][None]  # behind the last one: any number


def state_gradients(
    token_grads: Tensor,  # [R, N, T]
    weight: Tensor,  # [R, L, H]
    layers: Sequence[Tensor],  # L of [N, T, H]
    is_needed: Sequence[bool],
) -> list[Tensor | None]:
    """With respect to each hidden state that needs it, `[N, T, H]` in its dtype."""
    with torch.autocast(token_grads.device.type, enabled=False):  # sums stay in float32
        return [
            torch.einsum("rnt,rh->nth", token_grads, weight[:, index]).to(layer.dtype)
            if needed
            else None
            for index, (layer, needed) in enumerate(zip(layers, is_needed, strict=True))
        ]
