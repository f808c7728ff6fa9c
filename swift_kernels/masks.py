"""Which tokens count: masks select, they never multiply."""

from typing import overload

import torch
from torch import Tensor


def hide_masked(values: Tensor, scored: Tensor | None) -> Tensor:
    """NaN where a token is not scored."""
    return values if scored is None else torch.where(as_bool(scored), values, float("nan"))


@overload
def as_bool(mask: Tensor) -> Tensor: ...
@overload
def as_bool(mask: None) -> None: ...
def as_bool(mask: Tensor | None) -> Tensor | None:
    return mask if mask is None or mask.dtype == torch.bool else mask != 0


def is_in_pack(cu_seqlens: Tensor, num_tokens: int) -> Tensor:
    """bool `[total_tokens]`: False for what lies behind the last candidate."""
    return torch.arange(num_tokens, dtype=torch.int64, device=cu_seqlens.device) < cu_seqlens[-1]
