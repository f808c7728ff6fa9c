"""What the head saw in each token: rewards and gates by position, and where the token's text is."""

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from swift_bon.candidates.records import TokenScores
from swift_kernels import RunningScore

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what a decoder writes for bytes that are not yet whole
LONGEST_WAIT = 4  # tokens: a character has at most four bytes
DIGITS = 3  # kept of a reward and a gate: they colour a text, the score has its own sums


class TokenRecorder:
    """Rewards and gates of each token, from the sums of a `RunningScore` before and after it.

    The sums carry what rounding took from them, so their differences in float64 give a token's
    terms to nearly all of their digits however long the text before it. Four floats and a flag a
    token; the device is not waited for until the end.
    """

    def __init__(self, running: RunningScore):
        self.running = running
        self.sums = [running.sums.clone()]  # [4, N] each
        self.active: list[Tensor] = []  # bool [N] each

    def add(self, active: Tensor) -> None:
        """After each `RunningScore.update`, with the same `active`."""
        self.sums.append(self.running.sums.clone())
        self.active.append(active)

    def token_scores(self) -> tuple[Tensor, Tensor]:
        """`(rewards, gates)`, float32 `[N, T]` each on the CPU, NaN where a token did not count."""
        sums = torch.stack(self.sums).cpu().double()  # [T + 1, 4, N]
        totals = sums[:, :2] - sums[:, 2:]  # of gate * reward, and of the gate
        weighted, gates = totals.diff(dim=0).unbind(dim=1)  # [T, N] each
        active = torch.stack(self.active).cpu() if self.active else torch.empty_like(gates).bool()
        values = (weighted / gates, gates)
        rewards, gates = (torch.where(active, row, float("nan")).T.float() for row in values)
        return rewards, gates


def token_lengths(
    tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int], text: str
) -> list[int]:
    """How many characters of `text` each token wrote; together all of them.

    Args:
        text: the tokens decoded, without special ones.

    A character of several tokens belongs to the one that completes it. Tokens are decoded after the
    one before them, as what a token writes may depend on it.
    """
    lengths = [0] * len(token_ids)
    start, written = 0, 0  # decoded from `start`; the tokens before `written` have their lengths
    total = 0

    def decode(first: int, end: int) -> str:
        return cast(str, tokenizer.decode(list(token_ids[first:end]), skip_special_tokens=True))

    for index in range(len(token_ids)):
        before, now = decode(start, written), decode(start, index + 1)
        is_whole = not now.endswith(REPLACEMENT) or index - written >= LONGEST_WAIT
        if len(now) > len(before) and is_whole:
            # never more than there is: a decoder may write a text otherwise than its parts
            lengths[index] = min(len(now) - len(before), len(text) - total)
            total += lengths[index]
            start, written = written, index + 1
    if lengths:
        lengths[-1] += len(text) - total
    return lengths


def make_token_scores(
    tokenizer: PreTrainedTokenizerBase,
    token_ids: Sequence[int],
    text: str,
    rewards: list[float],
    gates: list[float],
) -> TokenScores:
    """As they are stored.

    Args:
        rewards, gates: of the first tokens, NaN where one did not count; more than there are
            tokens, or fewer, as the last one may not have been fed.
    """
    missing = [float("nan")] * (len(token_ids) - len(rewards))
    stored = (rounded([*row, *missing][: len(token_ids)]) for row in (rewards, gates))
    return TokenScores(token_lengths(tokenizer, token_ids, text), *stored)


def rounded(values: Iterable[float]) -> list[float | None]:
    """Numbers to `DIGITS` digits as they are stored, None where a value is not finite."""
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values]
