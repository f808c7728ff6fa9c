"""Which tokens PyTorch reads, in pieces that are views wherever they can be."""

from collections.abc import Sequence

import torch
from torch import Tensor

SHORT_RUN = 8  # tokens; shorter ones on average are gathered, which copies them
Span = tuple[int | Tensor, slice | Tensor]  # indices into N and T of one piece


def as_rows(
    layers: Sequence[Tensor], scored: Tensor | None
) -> tuple[Sequence[Tensor], Tensor | None]:
    """One row of N*T tokens, `[1, N*T, H]`, where that is a view: fewer and longer pieces."""
    num_candidates, num_tokens, _ = layers[0].shape
    if num_candidates > 1 and num_tokens > 1:
        for layer in layers:
            if layer.stride(0) != num_tokens * layer.stride(1):
                return layers, scored
    rows = [layer.flatten(0, 1)[None] for layer in layers]
    return rows, None if scored is None else scored.flatten()[None]


def token_spans(shape: Sequence[int], scored: Tensor | None, block: int) -> list[Span]:
    """Pieces of at most `block` tokens that together hold every scored one.

    Args:
        shape: N, T.
        scored: bool `[N, T]` on the CPU; the pieces hold no other token. None: all.
    """
    num_candidates, num_tokens = shape
    if scored is None:
        runs = [(n, 0, num_tokens) for n in range(num_candidates)]
    else:
        runs = _runs(scored)
        if sum(stop - start for _, start, stop in runs) < SHORT_RUN * len(runs):
            candidates, tokens = (index.split(block) for index in scored.nonzero(as_tuple=True))
            return list(zip(candidates, tokens, strict=True))
    return [
        (n, slice(begin, min(begin + block, stop)))
        for n, start, stop in runs
        for begin in range(start, stop, block)
    ]


def _runs(scored: Tensor) -> list[tuple[int, int, int]]:
    """Candidate, first token and end of each run of scored tokens."""
    edges = torch.nn.functional.pad(scored.to(torch.int8), (1, 1)).diff(dim=1)  # [N, T + 1]
    starts, stops = ((edges == sign).nonzero().tolist() for sign in (1, -1))
    return [(n, start, stop) for (n, start), (_, stop) in zip(starts, stops, strict=True)]
