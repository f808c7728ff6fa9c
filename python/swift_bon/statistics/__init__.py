"""Statistics of best-of-N: pure functions of tensors."""

from swift_bon.statistics.best_of_k import best_of_k_accuracy, pass_at_k
from swift_bon.statistics.blend import cross_validated_blend, fit_blend
from swift_bon.statistics.combination import combine_by_rank, combine_by_scaling
from swift_bon.statistics.measures import auroc, auroc_within, calibration, picked_accuracy
from swift_bon.statistics.resampling import Bootstrap, Interval, permutation_p_value
from swift_bon.statistics.subsets import Subsets, make_subsets
from swift_bon.statistics.votes import vote_accuracy

__all__ = [
    "Bootstrap",
    "Interval",
    "Subsets",
    "auroc",
    "auroc_within",
    "best_of_k_accuracy",
    "calibration",
    "combine_by_rank",
    "combine_by_scaling",
    "cross_validated_blend",
    "fit_blend",
    "make_subsets",
    "pass_at_k",
    "permutation_p_value",
    "picked_accuracy",
    "vote_accuracy",
]
