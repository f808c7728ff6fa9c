"""The score kept running while tokens are written: a few floats per candidate."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_kernels import fused
from swift_kernels.backends import Backend, choose_backend
from swift_kernels.checks import check_count
from swift_kernels.input_checks import (
    check_active,
    check_device,
    check_hidden_states,
    check_reads_states,
    check_step_shape,
)
from swift_kernels.launch import concatenates_step
from swift_kernels.project import project_tokens
from swift_kernels.reference import divide_sums, rewards_and_gates, score_terms
from swift_kernels.weights import HeadWeights


class RunningScore:
    """Scores of N candidates, one token at a time; equal to `score_candidates` on the whole.

    The score is a ratio of two sums over the tokens (arXiv 2505.12225, section 3), so no hidden
    state has to be kept. Memory is four floats and a flag per candidate, whatever the length: both
    sums carry what rounding took from them, or thousands of tokens would cost digits. On a GPU the
    kernel needs some scratch memory too, of one size for all steps (70 KB for 64 candidates of an
    8B model).

    Args:
        head: the trained weights, on `device`.
        num_candidates: N.
        device: where the hidden states will come from; None takes the head's.
        backend: "auto", "triton" or "torch".

    Raises:
        TypeError, ValueError: naming the argument; a head that reads no hidden states.

    >>> import torch
    >>> from swift_kernels import RewardHead, RunningScore
    >>> weights = {"reward_weight": torch.ones(1, 2), "reward_bias": torch.zeros(())}
    >>> head = RewardHead.from_tensors(weights, num_layers=1, hidden_size=2, gated=False)
    >>> running = RunningScore(head, num_candidates=2)
    >>> states = torch.arange(8.0).view(2, 1, 2, 1, 2)  # two steps of L, N, 1, H
    >>> running.update(states[0], active=torch.tensor([True, True]))
    >>> running.update(states[1], active=torch.tensor([True, False]))
    >>> running.scores()
    tensor([5., 5.])
    """

    def __init__(
        self,
        head: HeadWeights,
        num_candidates: int,
        device: torch.device | str | None = None,
        *,
        backend: Backend = "auto",
    ):
        check_reads_states(head)
        device = head.reward_weight.device if device is None else torch.device(device)
        self.num_candidates = check_count(num_candidates, "num_candidates")
        self.backend = choose_backend(backend, device)
        self.head = head
        shape = (4, num_candidates)  # of gate * reward, of the gate, and the errors of both
        self.sums = torch.zeros(shape, dtype=torch.float32, device=device)
        self.has_tokens = torch.zeros(num_candidates, dtype=torch.bool, device=device)  # [N]
        if self.backend == "triton":
            sizes = (num_candidates, head.num_selected, head.hidden_size)
            self.scratch = fused.step.step_scratch(*sizes, self.sums.device)

    @property
    def weighted_sum(self) -> Tensor:
        """float32 `[N]`: the sum of gate * reward."""
        return self.sums[0] - self.sums[2]

    @property
    def gate_sum(self) -> Tensor:
        """float32 `[N]`."""
        return self.sums[1] - self.sums[3]

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
        check_device(layers[0], self.sums.device, "step_hidden_states[0]", "the sums")
        active = check_active(active, self.num_candidates, self.sums.device)
        if self.backend == "triton":
            sums = (self.sums, self.has_tokens)
            fused.ops.fused_step(layers, self.head, active, *sums, self.scratch)
        else:
            self._add_with_torch(layers, active)

    def scores(self) -> Tensor:
        """float32 `[N]`; -inf for a candidate that had no token yet."""
        return divide_sums(self.weighted_sum, self.gate_sum, self.has_tokens)

    def _add_with_torch(self, layers: tuple[Tensor, ...], active: Tensor) -> None:
        active = active != 0
        with torch.autocast(self.sums.device.type, enabled=False):  # sums stay in float32
            projected = self._project_step(layers)
        terms = torch.stack(score_terms(*rewards_and_gates(projected, self.head.biases)))  # [2, N]
        add_compensated(self.sums[:2], self.sums[2:], terms, active)
        self.has_tokens |= active

    def _project_step(self, layers: tuple[Tensor, ...]) -> Tensor | list[Tensor]:
        """Dot products with the reward's and the gate's weights, R of `[N]`."""
        if not concatenates_step(self.num_candidates, self.head.hidden_size):
            return project_tokens(layers, self.head.stacked_weight()).squeeze(-1)
        states = torch.cat(layers, dim=-1).squeeze(1).float()  # [N, L * H]
        return [states @ weight.float().flatten() for weight in self.head.weights]


def add_compensated(total: Tensor, error: Tensor, value: Tensor, keep: Tensor) -> None:
    """Add in place, `[..., N]`, and keep what rounding added (Kahan, 1965).

    The sum is total - error. Candidates with a false `keep` stay as they are, whatever the value.
    """
    value = value - error
    new_total = total + value
    new_error = (new_total - total) - value
    new_error = torch.where(new_error.isfinite(), new_error, 0)  # an infinite sum stays one
    error.copy_(torch.where(keep, new_error, error))
    total.copy_(torch.where(keep, new_total, total))
