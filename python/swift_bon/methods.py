"""Ways to pick one of N: their names, what these mean, and which end of a score is the good one.

A score is stored with each candidate under the name of its method. A combination of two scores is
named after them: "swift+mean_logprob by rank". What is not listed here is an external reward, or a
score of the user's: higher is better, and its label is its name.
"""

LABELS = {
    "random": "random sample",
    "oracle": "oracle (any right one)",
    "majority_vote": "majority vote",
    "swift_vote": "vote weighted by SWIFT's score",
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


def label(name: str) -> str:
    """In words: of a combination the labels are those of its parts."""
    return LABELS.get(name, name)
