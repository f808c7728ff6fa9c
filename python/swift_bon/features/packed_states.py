"""Hidden states of some responses, packed one after the other."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from swift_bon.features.spec import PIECE_TOKENS

RESPONSE_TOKENS = 64  # of a sampled response: many prompts say more than many tokens of a few


def starts(lengths: Sequence[int]) -> Tensor:
    """Where each of some packed responses begins, and the end of the last one."""
    return torch.tensor([0, *lengths], dtype=torch.int64, device="cpu").cumsum(0)


def thin(lengths: Sequence[int]) -> Tensor:
    """Rows of some responses, packed one after the other: evenly spaced ones of a long one."""
    tokens = torch.arange(RESPONSE_TOKENS, dtype=torch.int64, device="cpu")
    kept = [
        start + tokens[:length] * length // min(length, RESPONSE_TOKENS)
        for start, length in zip(starts(lengths), lengths, strict=False)
    ]
    return torch.cat(kept)


def is_finite(states: Tensor) -> bool:
    return all(math.isfinite(rows.sum(dtype=torch.float64)) for rows in states.split(PIECE_TOKENS))


def first_not_finite(layers: Sequence[Tensor], lengths: Sequence[int]) -> int:
    """Which of some responses, packed one after the other, has the first such token."""
    is_bad = torch.stack([~layer.isfinite().all(dim=1).cpu() for layer in layers]).any(dim=0)
    ends = starts(lengths)[1:]
    return int(torch.searchsorted(ends, int(is_bad.nonzero()[0]), right=True))
