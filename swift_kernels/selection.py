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
    """
    check_flat_scores(scores, num_return_sequences)
    if scores.numel() == 0:
        return torch.empty(0, dtype=torch.int64, device=scores.device)
    by_prompt = scores.view(-1, num_return_sequences)  # [P, N]
    is_number = ~by_prompt.isnan()
    best = torch.where(is_number, by_prompt, float("-inf")).amax(dim=-1, keepdim=True)  # [P, 1]
    is_best = (by_prompt == best) & is_number  # argmax promises no order among ties: spell it out
    position = torch.arange(num_return_sequences, device=scores.device)
    first = torch.where(is_best, position, num_return_sequences).amin(dim=-1)  # [P]
    first = torch.where(first == num_return_sequences, 0, first)
    return first + torch.arange(len(by_prompt), device=scores.device) * num_return_sequences
