"""The score kept running while tokens are written: two floats per candidate."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_kernels.backends import Backend, choose_backend
from swift_kernels.checks import (
    check_active,
    check_count,
    check_hidden_states,
    check_step_shape,
)
from swift_kernels.head import RewardHead
from swift_kernels.launch import concatenates_step
from swift_kernels.project import project_tokens
from swift_kernels.reference import divide_sums


class RunningScore:
    """Scores of N candidates, one token at a time; equal to `score_candidates` on the whole.

    The score is a ratio of two sums over the tokens (arXiv 2505.12225, section 3), so no hidden
    state has to be kept: memory is two floats and a flag per candidate, whatever the length.

    Args:
        head: the trained weights, on `device`.
        num_candidates: N.
        device: where the hidden states will come from; None takes the head's.
        backend: "auto", "triton" or "torch".
    """

    def __init__(
        self,
        head: RewardHead,
        num_candidates: int,
        device: torch.device | str | None = None,
        *,
        backend: Backend = "auto",
    ):
        device = head.reward_weight.device if device is None else torch.device(device)
        self.num_candidates = check_count(num_candidates, "num_candidates")
        self.backend = choose_backend(backend, device)
        self.head = head
        self.weighted_sum = torch.zeros(num_candidates, device=device)  # [N] sum of gate * reward
        self.gate_sum = torch.zeros(num_candidates, device=device)  # [N]
        self.has_tokens = torch.zeros(num_candidates, dtype=torch.bool, device=device)  # [N]

    @torch.no_grad()
    def update(self, step_hidden_states: Sequence[Tensor] | Tensor, active: Tensor) -> None:
        """Add one token of each active candidate.

        Args:
            step_hidden_states: L tensors `[N, 1, H]`, or one `[L, N, 1, H]`.
            active: `[N]` bool or integer, 1 = this token counts; rows with 0 may hold NaN.

        Raises:
            TypeError, ValueError: an input does not fit the head or `num_candidates`.
        """
        layers = check_hidden_states(step_hidden_states, self.head, "step_hidden_states")
        check_step_shape(layers, self.num_candidates)
        active = check_active(active, self.num_candidates, self.weighted_sum.device)
        if self.backend == "triton":
            from swift_kernels.ops import fused_step

            sums = (self.weighted_sum, self.gate_sum, self.has_tokens)
            fused_step(layers, self.head, active, *sums)
        else:
            self._add_with_torch(layers, active)

    def scores(self) -> Tensor:
        """float32 `[N]`; -inf for a candidate that had no token yet."""
        return divide_sums(self.weighted_sum, self.gate_sum, self.has_tokens)

    def _add_with_torch(self, layers: Sequence[Tensor], active: Tensor) -> None:
        with torch.autocast(self.weighted_sum.device.type, enabled=False):  # sums stay in float32
            rewards, gates = self._project_step(layers)
        rewards = rewards + self.head.reward_bias
        gates = torch.sigmoid(gates + self.head.gate_bias) if self.head.gated else 1.0
        self.weighted_sum += torch.where(active, gates * rewards, 0)
        self.gate_sum += torch.where(active, gates, 0)
        self.has_tokens |= active

    def _project_step(self, layers: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Dot products with the reward's and the gate's weights, `[N]` each."""
        head = self.head
        if not concatenates_step(self.num_candidates, head.hidden_size):
            projected = project_tokens(layers, head.stacked_weight()).squeeze(-1)  # [R, N]
            return projected[0], projected[1] if head.gated else None
        states = torch.cat(layers, dim=-1).squeeze(1).float()  # [N, L * H]
        weight, _, gate_weight, _ = head.kernel_weights()
        rewards = states @ weight.flatten()
        return rewards, states @ gate_weight.flatten() if head.gated else None
