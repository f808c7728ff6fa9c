"""What the pass that writes a text says of it for free: how likely it is, how sure the model was.

All of them are running reductions over the logits before temperature and truncation. From step to
step a few floats are kept for each candidate, and a window of them where the score is that of a
window; within a step a copy of the logits.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor

TOP_TOKENS = 20  # of a token's confidence, as in DeepConf's code
LARGEST_WINDOW = 2048  # tokens, that of DeepConf's paper, for texts of tens of thousands
SMALLEST_WINDOW = 8
LOWEST_LOGIT = -1e30  # -inf is a token left out: it has no share in the entropy, 0 * -inf is NaN


class TokenConfidence(NamedTuple):
    """Of the distribution of one token of each candidate, `[N]` each, in nats."""

    entropy: Tensor
    self_certainty: Tensor  # KL(uniform || it), arXiv 2502.18581
    confidence: Tensor  # minus the mean log-probability of the likeliest (arXiv 2508.15260)


def default_window(max_new_tokens: int) -> int:
    """Tokens of a group: an eighth of the longest text, as DeepConf's is of its texts."""
    return min(max(max_new_tokens // 8, SMALLEST_WINDOW), LARGEST_WINDOW)


def token_confidence(logits: Tensor, log_normalizer: Tensor) -> TokenConfidence:
    """How sure the model is of its next token.

    Args:
        logits: `[N, V]`; log_normalizer: their `logsumexp`, float32 `[N]`.
    """
    logits = logits.float()
    likeliest = logits.topk(min(TOP_TOKENS, logits.shape[-1]), dim=-1).values
    expected = (logits.softmax(dim=-1) * logits.clamp(min=LOWEST_LOGIT)).sum(dim=-1)
    return TokenConfidence(
        log_normalizer - expected,
        log_normalizer - logits.mean(dim=-1) - math.log(logits.shape[-1]),
        log_normalizer - likeliest.mean(dim=-1),
    )


class RunningConfidence(LogitsProcessor):
    """The free scores of N candidates, first in the list of processors.

    Args:
        num_candidates: N.
        device: of the logits.
        window: tokens of a group, whose confidences need one float each; None keeps the mean
            log-probability alone, which costs one reduction a step.
    """

    def __init__(self, num_candidates: int, device: torch.device, window: int | None = None):
        self.window = window
        self.num_steps = 0
        zeros = torch.zeros(num_candidates, dtype=torch.float32, device=device)  # [N]
        self.logits = zeros.new_empty(num_candidates, 0)  # [N, V], of the newest token
        self.log_normalizer = zeros.clone()  # [N]
        self.logprob = zeros.clone()  # [N], a sum as are the next
        self.entropy, self.self_certainty, self.confidence = (
            zeros.clone() for _ in TokenConfidence._fields
        )
        self.lowest = torch.full_like(zeros, float("inf"))  # [N]
        self.recent = zeros.new_zeros(num_candidates, window or 0)  # a ring

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.logits = scores.clone()  # the processors after this one may write into theirs
        self.log_normalizer = scores.float().logsumexp(dim=-1)  # [N]
        return scores

    def add(self, token_ids: Tensor, counts: Tensor) -> None:
        """Add the newest tokens `[N]` of the candidates where `counts`, `[N]`."""
        known = token_ids.clamp(0, self.logits.shape[1] - 1)  # padding may be none of the logits'
        chosen = self.logits.gather(1, known[:, None]).squeeze(1).float()
        self.logprob += torch.where(counts, chosen - self.log_normalizer, 0)
        if self.window is None:
            return
        newest = token_confidence(self.logits, self.log_normalizer)
        self.entropy += torch.where(counts, newest.entropy, 0)
        self.self_certainty += torch.where(counts, newest.self_certainty, 0)
        self.confidence += torch.where(counts, newest.confidence, 0)
        slot = self.recent[:, self.num_steps % self.window]
        slot.copy_(torch.where(counts, newest.confidence, slot))
        self.num_steps += 1
        if self.num_steps >= self.window:
            group = self.recent.mean(dim=1)
            self.lowest = torch.where(counts, torch.minimum(self.lowest, group), self.lowest)

    def scores(self, num_tokens: Tensor) -> dict[str, Tensor]:
        """float32 `[N]` by method, given the number of tokens of each candidate, `[N]`.

        A candidate shorter than the window is one group.
        """
        divisor = num_tokens.clamp(min=1)
        mean_logprob = self.logprob / divisor
        if self.window is None:
            return {"mean_logprob": mean_logprob}
        mean_confidence = self.confidence / divisor
        is_short = num_tokens < self.window
        return {
            "mean_logprob": mean_logprob,
            "sum_logprob": self.logprob,
            "perplexity": (-mean_logprob).exp(),
            "entropy": self.entropy / divisor,
            "self_certainty": self.self_certainty / divisor,
            "lowest_group_confidence": torch.where(is_short, mean_confidence, self.lowest),
            "tail_confidence": torch.where(is_short, mean_confidence, self.recent.mean(dim=1)),
            "length": num_tokens.float(),
        }
