"""Ways to pick one of N: their names, what these mean, and which end of a score is the good one.

A score is stored with each candidate under the name of its method. What is not listed here is an
external reward or a score of the user's: higher is better, and its label is its name. A combination
is named after its two scores, "swift+mean_logprob by rank", a vote after its weights.
"""

from collections.abc import Iterable

LABELS = {
    "random": "random sample",
    "oracle": "oracle (any right one)",
    "majority_vote": "majority vote",
    "swift_vote": "vote weighted by SWIFT",
    "swift": "SWIFT's pick",
    "mean_logprob": "most likely sample (mean log-probability)",
    "sum_logprob": "sum of log-probabilities",
    "perplexity": "lowest perplexity",
    "entropy": "lowest mean entropy",
    "self_certainty": "self-certainty",
    "lowest_group_confidence": "lowest group confidence (DeepConf)",
    "tail_confidence": "tail confidence (DeepConf)",
    "length": "shortest",
}
SHORT_LABELS = {"swift": "SWIFT", "mean_logprob": "log-probability"}  # inside other labels
LOWER_IS_BETTER = frozenset({"perplexity", "entropy", "length"})

FREE_SCORES = (  # of the pass that wrote the text, in the order of tables
    "mean_logprob",
    "sum_logprob",
    "perplexity",
    "entropy",
    "self_certainty",
    "lowest_group_confidence",
    "tail_confidence",
    "length",
)
BOUNDS = ("random", "oracle")
SWIFT_SCORE = "swift"  # of a head
MAJORITY = "majority_vote"
VOTE_SUFFIX = "_vote"
RECORD_FIELDS = (  # of an evaluation, besides the methods
    "candidates",
    "num_prompts",
    "num_candidates",
    "num_groups",
    "num_fewer",
    "num_draws",
    "num_permutations",
    "seed",
    "confidence",
    "methods",
    "intervals",
    "ks",
    "curves",
    "auroc",
    "auroc_within",
    "missing",
    "no_pick",
    "reference",
    "differences",
    "p_values",
    "calibration",
    "swift_over_random",
)
RESERVED = frozenset({*RECORD_FIELDS, *BOUNDS, MAJORITY, SWIFT_SCORE + VOTE_SUFFIX})


def check_score_names(names: Iterable[str]) -> None:
    """No score of the user's is named as something else in an evaluation.

    Raises:
        ValueError: names the score.
    """
    names = set(names)
    for name in sorted(names):
        if name in RESERVED or name.removesuffix(VOTE_SUFFIX) in names - {name}:
            raise ValueError(
                f"a score is named {name!r}, which means something else in an evaluation; give it "
                "another name"
            )


def score_family(name: str) -> str:
    """Whose a score is: "free", "head" or "reward"."""
    if name in FREE_SCORES:
        return "free"
    return "head" if name == SWIFT_SCORE else "reward"


def label(name: str) -> str:
    """A score or another method of `LABELS` in words."""
    return LABELS.get(name, name)


def vote_label(weights: str) -> str:
    return f"vote weighted by {_short(weights)}"


def combination_name(first: str, second: str, how: str) -> str:
    return f"{first}+{second} {how}"


def combination_label(first: str, second: str, how: str) -> str:
    return f"{_short(first)} + {_short(second)}, {how}"


def _short(name: str) -> str:
    return SHORT_LABELS.get(name, label(name))
