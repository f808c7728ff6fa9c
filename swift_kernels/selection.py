"""From scores to the candidate that is returned."""

import torch
from torch import Tensor

from swift_kernels.input_checks import check_flat_scores


def select_best(scores: Tensor, num_return_sequences: int) -> Tensor:
    """Row of the best candidate of each prompt.

    Args:
        scores: `[P * N]`, candidates of one prompt next to each other, as `generate` returns them.
        num_return_sequences: N, candidates per prompt.

    Returns:
        int64 `[P]`, indices into the P * N rows. NaN never wins against a number (-inf included);
        ties take the first; a prompt whose scores are all NaN takes its first candidate.

    Raises:
        TypeError, ValueError: `scores` is not a `[P * N]` tensor of numbers, or N < 1.

    >>> import torch
    >>> from swift_kernels import select_best
    >>> select_best(torch.tensor([0.1, 0.9, 0.9, float("nan"), 2.0, 1.0]), num_return_sequences=3)
    tensor([1, 4])
    """
    check_flat_scores(scores, num_return_sequences)
    by_prompt = scores.view(-1, num_return_sequences)  # [P, N]
    first = first_best(by_prompt, ~by_prompt.isnan()).clamp(min=0)  # [P]
    prompts = torch.arange(len(by_prompt), dtype=torch.int64, device=scores.device)
    return first + prompts * num_return_sequences


def first_best(scores: Tensor, may_win: Tensor) -> Tensor:
    """Of each row the first with the highest score.

    Args:
        scores: `[P, N]`, N at least 1.
        may_win: `[P, N]` bool; scores of others may be anything.

    Returns:
        int64 `[P]`, positions in the rows, -1 where none may win.
    """
    best = torch.where(may_win, scores, float("-inf")).amax(dim=-1, keepdim=True)  # [P, 1]
    is_best = (scores == best) & may_win
    first = is_best.int().argmax(dim=-1)  # of ties the first, as torch.argmax promises
    return torch.where(is_best.any(dim=-1), first, -1)
