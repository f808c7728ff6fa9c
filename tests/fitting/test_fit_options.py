"""Options of a fit: what is bad is refused by name, and the grid of heads is what was asked for."""

import dataclasses
import json
import re
from dataclasses import asdict
from typing import get_type_hints

import pytest

from swift_bon.fitting.options import FitArguments, FitOptions

NAN, INF = float("nan"), float("inf")


def test_heads_are_the_grid_of_rates_and_seeds():
    options = FitOptions(learning_rates=[0.1, 0.2], seeds=[3, 1, 2])
    assert options.heads() == [(0.1, 3), (0.1, 1), (0.1, 2), (0.2, 3), (0.2, 1), (0.2, 2)]
    assert FitOptions(learning_rates=(1,), seeds=(-5,)).heads() == [(1, -5)]


def test_lists_become_tuples_so_that_equal_options_are_equal():
    lists = FitOptions(learning_rates=[0.1], seeds=[0], layers=[0, 2])
    assert lists == FitOptions(learning_rates=(0.1,), seeds=(0,), layers=(0, 2))
    assert FitOptions(**json.loads(json.dumps(asdict(lists)))) == lists
    assert hash(lists) == hash(FitOptions(learning_rates=(0.1,), seeds=(0,), layers=(0, 2)))


def test_from_arguments():
    assert FitOptions.from_arguments({}) == FitOptions()
    assert FitOptions.from_arguments({"loss": "nca", "epochs": 3}) == FitOptions("nca", epochs=3)
    with pytest.raises(TypeError, match="learning_rate is not an option, expected one of loss"):
        FitOptions.from_arguments({"epochs": 3, "learning_rate": 0.1})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss", "mse", "loss is 'mse', expected"),
        ("schedule", "linear", "schedule is 'linear', expected"),
        ("select_by", "auroc", "select_by is 'auroc', expected"),
        ("epochs", 0, "epochs is 0"),
        ("patience", 0, "patience is 0"),
        ("batch_size", -1, "batch_size is -1"),
        ("alpha", 0, "alpha is 0, expected above 0"),
        ("alpha", INF, "alpha is inf"),
        ("weight_decay", -0.1, "weight_decay is -0.1, expected at least 0"),
        ("weight_decay", NAN, "weight_decay is nan, expected at least 0"),
        ("warmup", 1, "warmup is 1, expected at least 0 and below 1"),
        ("warmup", -0.1, "warmup is -0.1, expected at least 0 and below 1"),
        ("validation", 0, "validation is 0, expected above 0 and below 1"),
        ("validation", 1.0, "validation is 1.0, expected above 0 and below 1"),
        ("learning_rates", [], None),
        ("learning_rates", [0.1, 0], "learning_rates is 0, expected above 0"),
        ("learning_rates", [0.1, -1], "learning_rates is -1, expected above 0"),
        ("learning_rates", [NAN], "learning_rates is nan, expected above 0"),
        ("learning_rates", [INF], "learning_rates is inf"),
        ("learning_rates", [0.1, 0.1], r"learning_rates is \[0.1, 0.1\], expected each one once"),
        ("seeds", (1, 2, 1), r"seeds is \[1, 2, 1\], expected each one once"),
    ],
)
def test_bad_values(name, value, message):
    with pytest.raises((ValueError, TypeError), match=message or name):
        FitOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", None),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", "8"),
        ("gated", 1),
        ("gated", "yes"),
        ("standardize", None),
        ("alpha", "0.1"),
        ("alpha", True),
        ("weight_decay", "1"),
        ("validation", "15%"),
        ("learning_rates", 0.1),
        ("learning_rates", "0.1"),
        ("learning_rates", ["0.1"]),
        ("learning_rates", {0.1}),
        ("seeds", 0),
        ("seeds", None),
        ("seeds", []),
        ("seeds", [0.0]),
        ("seeds", [True]),
        ("layers", 3),
    ],
)
def test_bad_types(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        FitOptions(**{name: value})


def test_limits_are_allowed():
    FitOptions(weight_decay=0, warmup=0, alpha=1e-300, validation=1e-9, epochs=1, patience=1)


def test_rate_and_decay_that_were_not_given_follow_the_size():
    """The steps shrink with the root of D, the decay of a step stays."""
    small, large = (FitOptions().for_dim(dim) for dim in (16, 1600))
    assert small.learning_rates[0] == pytest.approx(10 * large.learning_rates[0])
    decays = [options.learning_rates[0] * options.weight_decay for options in (small, large)]
    assert decays[0] == pytest.approx(decays[1])
    given = FitOptions(learning_rates=(0.1, 0.2), weight_decay=0)
    assert given.for_dim(1600) == given
    assert FitOptions(weight_decay=0).for_dim(16).learning_rates == small.learning_rates
    assert FitOptions(learning_rates=(0.1,)).for_dim(16).weight_decay == small.weight_decay


def test_the_options_that_an_editor_knows_are_those_that_are_taken():
    """`FitArguments` has no fewer and no more, and of the same types; any sequence will do."""
    taken = {
        name: re.sub(r"tuple\[(\w+), \.\.\.\]", r"collections.abc.Sequence[\1]", str(hint))
        for name, hint in get_type_hints(FitOptions).items()
    }
    known = {name: str(hint) for name, hint in get_type_hints(FitArguments).items()}
    assert known == taken
    assert list(known) == [field.name for field in dataclasses.fields(FitOptions)]
    assert FitArguments.__optional_keys__ == set(known)
