"""Two scores made one, by rank or by scaling, as the paper does (arXiv 2505.12225, section 4).

Both depend on which candidates there are: a rank among eight is not a rank among three of them. So
they are made anew in each subset. Shapes: S subsets of N candidates of one prompt. A candidate that
is not in the subset or misses one of the scores has -inf.
"""

import torch
from torch import Tensor

MISSING = float("-inf")
TIE_DECIMALS = 9  # of scaled scores: 1/3 + 2/3 and 1/2 + 1/2 are the same, whatever was rounded


def combine_by_rank(first: Tensor, second: Tensor, masks: Tensor) -> Tensor:
    """Minus the worse of a candidate's two ranks, from 0, `[N, S]`; tied candidates share a rank.

    Args:
        first, second: `[N]`, higher is better, NaN where there is none.
        masks: `[N, S]`, 1 = in the subset.

    >>> import torch
    >>> from swift_bon.statistics import combine_by_rank
    >>> first, second = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([1.0, 3.0, 2.0])
    >>> combine_by_rank(first, second, torch.ones(3, 1)).flatten().tolist()
    [-2.0, -1.0, -2.0]
    """
    has_both = ~(first.isnan() | second.isnan())
    masks = masks * has_both[:, None]
    worse = torch.maximum(*(_loses_to(scores) @ masks for scores in (first, second)))
    return torch.where(masks > 0, -worse, MISSING)


def _loses_to(scores: Tensor) -> Tensor:
    """float32 `[N, N]`: 1 where the row's candidate scores below the column's, 1/2 where equal."""
    rows, columns = scores[:, None], scores[None]
    equal = (rows == columns).float().fill_diagonal_(0)
    return (rows < columns).float() + equal / 2


def combine_by_scaling(first: Tensor, second: Tensor, masks: Tensor) -> Tensor:
    """The mean of both scores, each scaled to 0 for the lowest and 1 for the highest, `[N, S]`.

    Arguments as in `combine_by_rank`. Where all are the same, each counts as 0.

    >>> import torch
    >>> from swift_bon.statistics import combine_by_scaling
    >>> first, second = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([10.0, 30.0, 20.0])
    >>> combine_by_scaling(first, second, torch.ones(3, 1)).flatten().tolist()
    [0.5, 0.75, 0.25]
    """
    is_in = (masks > 0) & ~(first.isnan() | second.isnan())[:, None]
    total = torch.zeros(masks.shape, dtype=torch.float64, device="cpu")
    for scores in (first.double()[:, None], second.double()[:, None]):
        low = torch.where(is_in, scores, float("inf")).amin(dim=0)
        width = torch.where(is_in, scores, MISSING).amax(dim=0) - low
        slope = torch.where(width > 0, 1 / width, 0)
        total.addcmul_(scores - low, slope, value=0.5)
    return torch.where(is_in, total.round(decimals=TIE_DECIMALS), MISSING)
