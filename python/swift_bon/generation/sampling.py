"""A random stream per candidate."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor

DRAWN_AHEAD = 64  # random numbers of each stream, so that a step seldom waits for the host


class CandidateSampler(LogitsProcessor):
    """Samples each candidate from a random stream of its own, last in the list of processors.

    `generate` draws from one stream for the whole batch, so what a candidate says depends on its
    neighbours. Here it depends on its seed alone: batches may be of any size, halved, or resumed.
    The token is chosen by inverting the cumulative distribution at one uniform number, and the
    other logits become -inf, so that `generate` can only take that token.

    Args:
        seeds: one per candidate, `[N]`.
    """

    def __init__(self, seeds: Sequence[int]):
        self.generators = [torch.Generator(device="cpu").manual_seed(seed) for seed in seeds]
        # [N, drawn ahead]
        self.uniforms = torch.empty(len(seeds), 0, dtype=torch.float32, device="cpu")
        self.num_used = 0
        self.is_broken: Tensor | None = None  # [N] bool, once the logits were NaN or inf

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        uniform = self._next_uniform(scores.device)  # [N]
        cumulative = scores.float().softmax(dim=-1).cumsum(dim=-1)  # [N, V]
        is_broken = ~cumulative[:, -1].isfinite()
        self.is_broken = is_broken if self.is_broken is None else self.is_broken | is_broken
        target = uniform * cumulative[:, -1]  # [N]
        token = torch.searchsorted(cumulative, target[:, None], right=True)  # [N, 1]
        last_possible = (cumulative < cumulative[:, -1:]).sum(dim=-1, keepdim=True)
        token = torch.minimum(token, last_possible)  # rounding may put the target on the end
        return torch.full_like(scores, float("-inf")).scatter_(1, token, 0.0)

    def check_logits(self, dtype: torch.dtype) -> None:
        """Raise if any logits could not be sampled from; asked once, at the end, not every step.

        Raises:
            ValueError: logits were NaN or inf.
        """
        if self.is_broken is not None and bool(self.is_broken.any()):
            raise ValueError(
                f"the model's logits hold NaN or inf for {int(self.is_broken.sum())} of "
                f"{len(self.is_broken)} candidates; its dtype is {dtype}, load it in bfloat16 or "
                "float32"
            )

    def _next_uniform(self, device: torch.device) -> Tensor:
        if self.num_used == self.uniforms.shape[1]:
            rows = [
                torch.rand(DRAWN_AHEAD, generator=generator, dtype=torch.float64, device="cpu")
                for generator in self.generators
            ]
            self.uniforms = torch.stack(rows).float().to(device)
            self.num_used = 0
        self.num_used += 1
        return self.uniforms[:, self.num_used - 1]
