"""How the learning rate goes over the steps of a fit."""

import pytest

from swift_bon.fitting.head_fitting import learning_rate_factor


@pytest.mark.parametrize(
    ("progress", "schedule", "warmup", "expected"),
    [
        (0.05, "cosine", 0.1, 0.5),
        (0.1, "cosine", 0.1, 1.0),
        (0.55, "cosine", 0.1, 0.5),
        (1.0, "cosine", 0.1, 0.0),
        (0.25, "cosine", 0.0, 0.5 + 0.5 * 0.5**0.5),
        (0.05, "constant", 0.1, 0.5),
        (0.1, "constant", 0.1, 1.0),
        (1.0, "constant", 0.0, 1.0),
    ],
)
def test_learning_rate(progress, schedule, warmup, expected):
    assert learning_rate_factor(progress, schedule, warmup) == pytest.approx(expected, abs=1e-12)
