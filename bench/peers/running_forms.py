"""The running score beside the eager form of it, and the answers that both must give."""

from collections.abc import Callable

import torch
from torch import Tensor

from measuring.oracle import (
    EAGER_TOLERANCE,
    WrongAnswer,
    check_accuracy,
    exact_projection,
    exact_scores,
    relative_error,
)
from peers.eager_head import EagerHead
from swift_kernels import RewardHead, RunningScore


class EagerRunning:
    """The paper's form for one token, added to the two running sums."""

    def __init__(self, eager: EagerHead, num_candidates: int, device: torch.device):
        self.linear = eager.linear
        self.weighted_sum = torch.zeros(num_candidates, device=device)  # [N]
        self.gate_sum = torch.zeros(num_candidates, device=device)  # [N]

    def update(self, step_hidden_states: list[Tensor], active: Tensor) -> None:
        states = torch.cat([layer.float() for layer in step_hidden_states], dim=-1)  # [N, 1, L*H]
        rewards, gates = self.linear(states)[:, 0].unbind(-1)  # [N]
        gates = gates.sigmoid() * active
        self.weighted_sum += gates * rewards
        self.gate_sum += gates

    def scores(self) -> Tensor:
        return self.weighted_sum / self.gate_sum.clamp(min=1e-8)


def check_running(layers: list[Tensor], head: RewardHead, eager: EagerHead) -> None:
    """A few updates, the last row inactive in the first, equal the float64 score of the whole."""
    num_candidates, num_tokens, _ = layers[0].shape
    mask = torch.ones(num_candidates, num_tokens, dtype=torch.bool, device=layers[0].device)
    mask[-1, 0] = False
    exact = exact_scores(layers, head, mask)
    errors = []
    for running in (
        EagerRunning(eager, num_candidates, mask.device),
        RunningScore(head, num_candidates, mask.device),
    ):
        for token in range(num_tokens):
            step = [layer[:, token : token + 1] for layer in layers]
            running.update(step, mask[:, token])
        errors.append(relative_error(running.scores(), exact))
    check_accuracy("eager", errors[0], None)
    check_accuracy("RunningScore", errors[1], errors[0])


def check_growth(
    name: str,
    running: EagerRunning | RunningScore,
    run: Callable[[], None],
    updates: int,
    step_layers: list[Tensor],
    head: RewardHead,
) -> None:
    """What is timed adds the same token `updates` times: a replay that does nothing is noticed.

    Raises:
        WrongAnswer: a sum did not grow by `updates` times what float64 adds.
    """
    rewards, gates = exact_projection(step_layers, head)[:, 0].unbind(-1)  # [N]
    gates = gates.sigmoid()
    starts = running.weighted_sum.double(), running.gate_sum.double()
    run()
    ends = running.weighted_sum.double(), running.gate_sum.double()
    for start, end, added in zip(starts, ends, (gates * rewards, gates), strict=True):
        error = relative_error((end - start) / updates, added)
        if not error <= EAGER_TOLERANCE:
            raise WrongAnswer(
                f"{name}: {updates} updates that are timed are off by {error:.2e} an update, "
                f"expected <= {EAGER_TOLERANCE:.2e}"
            )
