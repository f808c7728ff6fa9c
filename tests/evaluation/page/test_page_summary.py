"""The sentences of the page say what the record says, in either direction."""

import pytest

from page_cases import make_record, words
from swift_bon.evaluation.page.summary import summary_section

LEAD = "SWIFT's pick is right for .385 of the questions (.337 to .435)"


def with_difference(name: str, mean: float, low: float, high: float, p: float | None) -> dict:
    record = make_record()
    record["differences"][f"swift - {name}"] = [mean, low, high]
    record["p_values"].pop(f"swift - {name}")
    if p is not None:
        record["p_values"][f"swift - {name}"] = p
    return record


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            (0.09, 0.05, 0.133, 0.0002),
            ": +.090 over the most likely sample (+.050 to +.133, p = .0002).",
        ),
        (
            (0.01, -0.02, 0.04, 0.48),
            ". That is not clearly different from the most likely sample: "
            "+.010 (−.020 to +.040, p = .480).",
        ),
        (
            (-0.04, -0.07, -0.01, 0.004),
            ": −.040 against the most likely sample, which picks better "
            "(−.070 to −.010, p = .004).",
        ),
        ((0.04, 0.01, 0.07, None), ": +.040 over the most likely sample (+.010 to +.070)."),
        (  # one of two measures is not enough
            (0.04, 0.001, 0.07, 0.06),
            ". That is not clearly different from the most likely sample: "
            "+.040 (+.001 to +.070, p = .060).",
        ),
        (
            (0.04, -0.001, 0.07, 0.04),
            ". That is not clearly different from the most likely sample: "
            "+.040 (−.001 to +.070, p = .040).",
        ),
        (
            (0.0, 0.0, 0.0, 1.0),
            ". That is not clearly different from the most likely sample: "
            "±.000 (±.000 to ±.000, p = 1.000).",
        ),
    ],
)
def test_key_sentence_is_honest_in_either_direction(found, sentence):
    assert words(summary_section(with_difference("mean_logprob", *found))).startswith(
        LEAD + sentence
    )


def test_other_comparisons():
    text = words(summary_section(make_record()))
    for sentence in (
        "no clear difference to the majority vote, right for .374: "
        "+.011 (−.020 to +.040, p = .480)",
        "better than a random sample, right for .136: +.249 (+.210 to +.290, p < .0001)",
        "worse than Skywork-8B, right for .427: −.042 (−.070 to −.010, p = .012)",
        "the best combination, SWIFT's pick and most likely sample by rank, is right for .395, "
        "not clearly different from SWIFT alone: +.010 (−.010 to +.030, p = .400)",
        "For .610 of the questions some candidate is right (oracle)",
    ):
        assert sentence in text
    assert "weighted" not in text  # neither a usual rival nor the best of the others
    better = with_difference("swift+mean_logprob by rank", -0.01, -0.02, -0.001, 0.01)
    assert "is right for .395, more than SWIFT alone: +.010 (+.001" in words(
        summary_section(better)
    )
    worse = with_difference("swift+mean_logprob by rank", 0.01, 0.001, 0.02, 0.01)
    assert "less than SWIFT alone: −.010 (−.020" in words(summary_section(worse))


def test_a_difference_may_be_named_the_other_way_round():
    record = make_record()
    del record["differences"]["swift - mean_logprob"], record["p_values"]["swift - mean_logprob"]
    record["differences"]["mean_logprob - swift"] = [-0.09, -0.133, -0.05]
    record["p_values"]["mean_logprob - swift"] = 0.0002
    assert "+.090 over the most likely sample (+.050 to +.133, p = .0002)" in words(
        summary_section(record)
    )


def test_without_scores_of_swift():
    record = make_record(methods=[{"name": "random", "label": "random", "family": "bound"}])
    text = words(summary_section(record))
    assert text == "No candidate has a score of SWIFT; swift-bon score FILE --head HEAD adds it."
