"""What an evaluation says: the types of the dict that is saved as JSON.

JSON has no NaN: in a record that was read from a file it is None.
"""

from collections.abc import Mapping
from typing import Any, TypedDict, cast


class MethodName(TypedDict):
    """A way to pick, in the order of tables."""

    name: str
    label: str
    family: str  # "bound", "free", "head", "reward", "vote" or "combination"


class Curve(TypedDict):
    """A method's accuracy with its interval, a list over `ks` each."""

    accuracy: list[float]
    low: list[float]
    high: list[float]


class CalibrationBinRecord(TypedDict):
    """Candidates of similar probability."""

    count: int
    probability: float
    accuracy: float


class CalibrationRecord(TypedDict):
    """Whether a score, as a probability of being right, is that."""

    ece: float
    brier: float
    bins: list[CalibrationBinRecord]


class Sizes(TypedDict):
    """Of what, and how it was drawn."""

    candidates: dict[str, Any] | None  # the header of the file
    num_prompts: int
    num_candidates: int
    num_groups: int
    num_fewer: int  # prompts with fewer candidates than the most
    num_draws: int
    num_permutations: int
    seed: int
    confidence: float
    methods: list[MethodName]


class Accuracies(TypedDict, total=False):
    """Of each method with all candidates, under its name.

    A score of the user's and a combination stand there too: `accuracy_of` reads those.
    """

    random: float
    mean_logprob: float
    sum_logprob: float
    perplexity: float
    entropy: float
    self_certainty: float
    lowest_group_confidence: float
    tail_confidence: float
    length: float
    swift: float
    majority_vote: float
    swift_vote: float
    oracle: float


class Curves(TypedDict):
    """Accuracy over the number of candidates, by name."""

    intervals: dict[str, list[float]]  # low, high with all candidates
    ks: list[int]  # from 1 to N
    curves: dict[str, Curve]


class Discrimination(TypedDict):
    """How well each score tells right from wrong, by name."""

    auroc: dict[str, float]  # of all candidates together
    auroc_within: dict[str, list[float]]  # mean, low, high: within a prompt
    missing: dict[str, int]  # candidates without such a score


class Differences(TypedDict):
    """Of the reference to the others, by "swift - random"."""

    reference: str
    differences: dict[str, list[float]]  # mean, low, high
    p_values: dict[str, float]  # of a paired permutation test


class _OnlyWithSwift(TypedDict, total=False):
    swift_over_random: list[float]  # ratio, low, high


class Evaluation(Sizes, Accuracies, Curves, Discrimination, Differences, _OnlyWithSwift):
    """What `evaluate` returns."""

    no_pick: dict[str, int]  # prompts without any such score or vote, where the pick is random
    calibration: dict[str, CalibrationRecord]  # by name


def accuracy_of(record: Evaluation, name: str) -> float | None:
    """Of any method, with all candidates.

    Raises:
        KeyError: the record has no such method.
    """
    return cast(Mapping[str, float | None], record)[name]
