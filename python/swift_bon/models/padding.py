"""Rows of token ids as one batch."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def pad_rows(
    rows: Sequence[Sequence[int]],
    pad_token_id: int,
    device: torch.device,
    side: Literal["left", "right"] = "left",
) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask`, int64 `[N, T]` each.

    Args:
        rows: at least one, each of any length.
        side: where the padding stands.
    """
    ids = [torch.tensor(row, dtype=torch.int64, device="cpu") for row in rows]
    ones = [torch.ones_like(row) for row in ids]
    input_ids = pad_sequence(ids, True, pad_token_id, side)
    return {
        "input_ids": input_ids.to(device),
        "attention_mask": pad_sequence(ones, True, 0, side).to(device),
    }


def position_ids(attention_mask: Tensor) -> Tensor:
    """Of left-padded rows, `[N, T]`, as `generate` makes them where it does."""
    return (attention_mask.cumsum(dim=-1) - 1).clamp(min=0)
