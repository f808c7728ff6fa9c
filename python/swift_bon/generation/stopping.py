"""Which tokens count, from the stopping decisions themselves."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteriaList


class FinishTracker(StoppingCriteriaList):
    """The criteria that `generate` made, remembering which candidates have finished.

    `generate` calls it once per sampled token. Token ids are never compared with the pad token: a
    sampled token may equal it, and stop strings end candidates too. `on_token`, where given, is
    called with the newest token of each candidate, `[N]`, and whether it belongs to its response.
    """

    def __init__(
        self,
        criteria: StoppingCriteriaList,
        num_candidates: int,
        device: torch.device,
        on_token: Callable[[Tensor, Tensor], None] | None = None,
    ):
        super().__init__(criteria)
        self.finished = torch.zeros(num_candidates, dtype=torch.bool, device=device)  # [N]
        self.finished_before = self.finished  # [N], before the newest token
        self.num_tokens = torch.zeros(num_candidates, dtype=torch.int64, device=device)  # [N]
        self.num_steps = 0
        self.on_token = on_token

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        is_done = super().__call__(input_ids, scores, **kwargs)  # [N]
        self.finished_before = self.finished
        self.num_tokens += ~self.finished
        if self.on_token is not None:
            self.on_token(input_ids[:, -1], ~self.finished)
        self.finished = self.finished | is_done.to(self.finished.device)
        self.num_steps += 1
        return is_done

    def counts(self, scored_tokens: str) -> Tensor:
        """Whether the newest token of each candidate counts, bool `[N]`.

        "fed": every response token but the one that ended the candidate. "response": that too.
        """
        return ~self.finished if scored_tokens == "fed" else ~self.finished_before
