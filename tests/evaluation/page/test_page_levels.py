"""Numbers of tokens as characters: what comes back is what went in, as finely as promised."""

import math

import pytest
import torch

from page_cases import NAN, unpack_lengths
from swift_bon.evaluation.page.levels import (
    ALPHABET,
    Scale,
    gate_scale,
    pack_lengths,
    reward_scale,
    to_values,
    utf16_lengths,
)


def test_levels_go_evenly_from_low_to_high():
    scale = Scale(-1.0, 0.0, 2.15)
    values = [-1.0, 2.15, -1.0 + 3.15 * 10 / 63, -1.0 + 3.15 * 10.4 / 63, -1.0 + 3.15 * 10.6 / 63]
    assert scale.pack(to_values(values)) == "A_KKL"
    assert scale.pack(to_values([-9.0, 1e300, None, NAN, math.inf])) == "A_   "
    assert scale.pack(to_values([])) == ""
    assert len(set(ALPHABET)) == 64 and " " not in ALPHABET


def test_scale_of_rewards_lies_around_their_mean():
    values = torch.linspace(0.0, 1.0, 1001, dtype=torch.float64)
    values[0], values[-1] = -50.0, 50.0  # two in a thousand do not dim the rest
    scale = reward_scale([values, to_values([None])])
    assert scale.centre == pytest.approx(0.5, abs=1e-3)
    assert (scale.low, scale.high) == (pytest.approx(0.01, abs=2e-3), pytest.approx(0.99, abs=2e-3))
    skewed = reward_scale([to_values([0.0, 0.0, 0.0, 4.0])])
    assert skewed == (-2.0, 1.0, 4.0)  # equally far to both sides
    assert reward_scale([to_values([2.0])]) == (1.0, 2.0, 3.0)
    assert reward_scale([]) is None and reward_scale([to_values([None, NAN])]) is None


def test_scale_of_gates_goes_from_the_lowest_to_the_highest():
    values = torch.linspace(0.2, 0.4, 201, dtype=torch.float64)
    scale = gate_scale([values])
    assert (scale.low, scale.high) == (pytest.approx(0.202), pytest.approx(0.398))
    assert gate_scale([to_values([0.5, 0.5])]) == (0.0, 0.25, 0.5)
    assert gate_scale([to_values([0.0])]) == (0.0, 0.5, 1.0)
    assert gate_scale([to_values([None])]) is None


@pytest.mark.parametrize("lengths", [[], [0], [1, 62, 63, 64, 126, 127, 0, 1000, 5]])
def test_lengths_of_any_size(lengths):
    assert unpack_lengths(pack_lengths(lengths)) == lengths


@pytest.mark.parametrize(
    ("text", "lengths", "expected"),
    [
        ("plain", [2, 3, 0], [2, 3, 0]),
        ("é日\uffff", [1, 1, 1], [1, 1, 1]),
        ("a😀b", [1, 1, 1], [1, 2, 1]),
        ("\uffff\U00010000", [1, 1], [1, 2]),
        ("👩‍👩‍👧 x", [1, 2, 2, 0, 2], [2, 3, 3, 0, 2]),
        ("", [0, 0], [0, 0]),
    ],
)
def test_lengths_count_what_javascript_counts(text, lengths, expected):
    assert utf16_lengths(text, lengths) == expected
    assert sum(expected) == len(text.encode("utf-16-le")) // 2
