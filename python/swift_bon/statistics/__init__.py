"""Statistics of best-of-N: pure functions of tensors."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
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

_MODULES = {
    "Bootstrap": "swift_bon.statistics.resampling",
    "Interval": "swift_bon.statistics.resampling",
    "Subsets": "swift_bon.statistics.subsets",
    "auroc": "swift_bon.statistics.measures",
    "auroc_within": "swift_bon.statistics.measures",
    "best_of_k_accuracy": "swift_bon.statistics.best_of_k",
    "calibration": "swift_bon.statistics.measures",
    "combine_by_rank": "swift_bon.statistics.combination",
    "combine_by_scaling": "swift_bon.statistics.combination",
    "cross_validated_blend": "swift_bon.statistics.blend",
    "fit_blend": "swift_bon.statistics.blend",
    "make_subsets": "swift_bon.statistics.subsets",
    "pass_at_k": "swift_bon.statistics.best_of_k",
    "permutation_p_value": "swift_bon.statistics.resampling",
    "picked_accuracy": "swift_bon.statistics.measures",
    "vote_accuracy": "swift_bon.statistics.votes",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
