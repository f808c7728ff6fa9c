"""Ways to pick one of N: their names, what these mean, and which end of a score is the good one.

A score is stored with each candidate under the name of its method. A combination is named after its
two scores: "swift+mean_logprob by rank". What is not listed here is an external reward or a score
of the user's: higher is better, and its label is its name.
"""

LABELS = {
    "random": "random sample",
    "oracle": "oracle (any right one)",
    "majority_vote": "majority vote",
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
HEAD = "swift"
VOTE_SUFFIX = "_vote"
COMBINATIONS = ("by rank", "by scaling", "blended")


def family(name: str) -> str:
    """What kind of method it is: "bound", "free", "head", "vote", "combination" or "reward"."""
    if name in BOUNDS:
        return "bound"
    if name in FREE_SCORES:
        return "free"
    if name == HEAD:
        return "head"
    if name.endswith(VOTE_SUFFIX):
        return "vote"
    return "combination" if name.endswith(COMBINATIONS) else "reward"


def label(name: str) -> str:
    """A name in words: of a combination those of its parts."""
    kind = family(name)
    if kind == "vote" and name not in LABELS:
        return f"vote weighted by {_short(name.removesuffix(VOTE_SUFFIX))}"
    if kind == "combination":
        how = next(how for how in COMBINATIONS if name.endswith(how))
        parts = name.removesuffix(how).strip().split("+")
        return f"{' + '.join(map(_short, parts))}, {how}"
    return LABELS.get(name, name)


def combination_name(first: str, second: str, how: str) -> str:
    return f"{first}+{second} {how}"


def _short(name: str) -> str:
    return SHORT_LABELS.get(name, LABELS.get(name, name))
