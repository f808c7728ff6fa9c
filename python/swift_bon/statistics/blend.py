"""A linear blend of scores, fitted to what is right within a prompt, cross-validated by prompt."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_bon.seeds import split_rank

NUM_FOLDS = 5
RIDGE = 1e-3  # on standardised scores: keeps weights finite where they separate all pairs
MAX_PAIRS = 2048  # of a prompt, drawn at random
MAX_STEPS = 50
CONVERGED = 1e-10


def cross_validated_blend(
    features: Tensor, correct: Tensor, groups: Sequence[str], num_folds: int = NUM_FOLDS
) -> Tensor:
    """Blended scores `[P, N]`, each prompt's by weights fitted to the prompts of other folds.

    Args:
        features: `[P, N, F]` scores; a candidate with a NaN among them has no blended score.
        correct: `[P, N]` bool.
        groups: of the prompts; those of a group stand in one fold, which depends on its name alone.

    Where no other fold has a right and a wrong candidate in one prompt, the weights are equal.

    >>> import torch
    >>> from swift_bon.statistics import cross_validated_blend
    >>> features = torch.tensor([[[1.0, 5.0], [0.0, 5.0]]]).repeat(8, 1, 1)
    >>> correct = torch.tensor([[True, False]]).repeat(8, 1)
    >>> blended = cross_validated_blend(features, correct, [f"question {n}" for n in range(8)])
    >>> bool((blended[:, 0] > blended[:, 1]).all())
    True
    """
    fold_of = [int(split_rank(group) * num_folds) for group in groups]
    folds = torch.tensor(fold_of, dtype=torch.int64, device="cpu")
    blended = torch.full(correct.shape, float("nan"), dtype=torch.float64, device="cpu")
    for fold in folds.unique().tolist():
        is_out = folds == fold
        weights, mean = fit_blend(features[~is_out], correct[~is_out])
        blended[is_out] = (features[is_out].double() - mean) @ weights
    return blended


def fit_blend(features: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and mean, float64 `[F]` each: the blended score is `(features - mean) @ weights`.

    Args:
        features: `[P, N, F]`; candidates with a NaN are left out.
        correct: `[P, N]` bool.

    Minimises the log-sigmoid loss of right against wrong candidates, averaged within a prompt, then
    over prompts, by Newton's method.

    >>> import torch
    >>> from swift_bon.statistics import fit_blend
    >>> features = torch.tensor([[[1.0, 5.0], [0.0, 5.0]]])  # one prompt, two candidates
    >>> weights, mean = fit_blend(features, torch.tensor([[True, False]]))
    >>> bool(weights[0] > 0), float(weights[1]), mean.tolist()
    (True, 0.0, [0.5, 5.0])
    """
    features = features.double()
    has_all = ~features.isnan().any(dim=-1)
    known = features[has_all]  # [M, F]
    mean = known.mean(dim=0).nan_to_num()
    scale = (known - mean).square().mean(dim=0).sqrt()
    scale = torch.where(scale > 0, scale, 1)
    differences, shares = [], []
    for row, is_right, is_known in zip(features, correct, has_all, strict=True):
        pairs_of_prompt = _pairs(row[is_right & is_known], row[~is_right & is_known])
        count = len(pairs_of_prompt)
        if count:
            differences.append(pairs_of_prompt)
            shares.append(torch.full((count,), 1 / count, dtype=torch.float64, device="cpu"))
    if not differences:
        return 1 / scale, mean
    pairs, share = torch.cat(differences) / scale, torch.cat(shares) / len(shares)
    return _minimise(pairs, share) / scale, mean


def _pairs(right: Tensor, wrong: Tensor) -> Tensor:
    """Right minus wrong, `[pairs, F]`."""
    count = len(right) * len(wrong)
    if not count:
        return right[:0]
    numbers = torch.arange(count, dtype=torch.int64, device="cpu")
    if count > MAX_PAIRS:
        generator = torch.Generator(device="cpu").manual_seed(0)
        numbers = torch.randperm(count, generator=generator, device="cpu")[:MAX_PAIRS]
    return right[numbers // len(wrong)] - wrong[numbers % len(wrong)]


def _minimise(pairs: Tensor, share: Tensor) -> Tensor:
    """Weights `[F]` of the least mean of softplus(-pairs @ weights), with a ridge."""

    def loss(weights: Tensor) -> Tensor:
        penalty = RIDGE / 2 * weights.square().sum()
        return share @ torch.nn.functional.softplus(-pairs @ weights) + penalty

    weights = torch.zeros(pairs.shape[1], dtype=torch.float64, device="cpu")
    eye = torch.eye(len(weights), dtype=torch.float64, device="cpu")
    for _ in range(MAX_STEPS):
        missed = torch.sigmoid(-pairs @ weights)
        gradient = RIDGE * weights - pairs.T @ (share * missed)
        curvature = pairs.T @ ((share * missed * (1 - missed))[:, None] * pairs) + RIDGE * eye
        step = torch.linalg.solve(curvature, gradient)
        size = 1.0
        while loss(weights - size * step) > loss(weights) and size > CONVERGED:
            size /= 2  # far from the minimum a whole step may overshoot
        weights = weights - size * step
        if gradient.abs().max() < CONVERGED:
            break
    return weights
