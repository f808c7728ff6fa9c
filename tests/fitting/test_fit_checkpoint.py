"""A checkpoint: a fit goes on from it bit for bit; only the same fit, only if it is whole."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import save_file

from fit_cases import PlantedSource, assert_same_heads, begin_fit, run_fit
from swift_bon.features.shards import Shard
from swift_bon.fitting.checkpoint import (
    CHECKPOINT_NAME,
    fit_digest,
    load_checkpoint,
    save_checkpoint,
)
from swift_bon.fitting.head_fitting import HeadFitting
from swift_bon.fitting.options import FitOptions

SETTINGS = {"learning_rates": (0.03, 0.01), "seeds": (0, 1), "epochs": 4, "loss": "pairwise"}


@pytest.fixture(scope="module")
def source():
    return PlantedSource(32)


@pytest.fixture
def checkpoint(source, tmp_path):
    """After two of four epochs."""
    fitting = begin_fit(source, **SETTINGS)
    fitting.run_epoch()
    fitting.run_epoch()
    save_checkpoint(tmp_path, fitting)
    return tmp_path / CHECKPOINT_NAME


@pytest.mark.parametrize("layers", [None, (0, 2)], ids=["all", "two layers"])
def test_goes_on_bit_for_bit(source, tmp_path, layers):
    """A new process after every epoch ends where one process does."""
    settings = {**SETTINGS, "layers": layers}
    fitting = begin_fit(source, **settings)
    assert not load_checkpoint(tmp_path, fitting)
    for epoch in range(1, 5):
        fitting.run_epoch()
        save_checkpoint(tmp_path, fitting)
        fitting = begin_fit(source, **settings)
        assert load_checkpoint(tmp_path, fitting)
        assert fitting.num_epochs_done == epoch
    assert fitting.is_done
    assert_same_heads(fitting, run_fit(source, **settings))


def test_best_epoch_survives_where_later_ones_are_worse(source, tmp_path):
    fitting = begin_fit(source, **SETTINGS)
    fitting.run_epoch()
    best = [tensor.clone() for tensor in fitting.best]
    for fit in fitting.fits:
        fit.history[0]["loss"] = -1.0
    fitting.run_epoch()
    save_checkpoint(tmp_path, fitting)
    again = begin_fit(source, **SETTINGS)
    assert load_checkpoint(tmp_path, again)
    assert all(torch.equal(one, other) for one, other in zip(again.best, best, strict=True))
    assert [fit.epoch for fit in again.fits] == [0] * 4


def test_stopped_and_diverged_heads_stay_so(source, tmp_path):
    settings = {"learning_rates": (1e30, 0.03)}
    fitting = begin_fit(source, **settings)
    fitting.run_epoch()
    save_checkpoint(tmp_path, fitting)
    again = begin_fit(source, **settings)
    assert load_checkpoint(tmp_path, again)
    assert [fit.is_stopped for fit in again.fits] == [True, False]
    assert repr(again.fits) == repr(fitting.fits)  # with their NaN


OTHER_OPTIONS = {
    "loss": "bce",
    "alpha": 0.5,
    "learning_rates": (0.03, 0.02),
    "seeds": (1, 0),
    "weight_decay": 0.2,
    "schedule": "constant",
    "warmup": 0.1,
    "epochs": 5,
    "patience": 2,
    "batch_size": 23,
    "validation": 0.2,
    "gated": False,
    "layers": (0, 2),
    "standardize": False,
    "select_by": "best_of_n",
}


def is_ignored(checkpoint, fitting) -> bool:
    before = [tensor.clone() for tensor in fitting.stack.state_dict().values()]
    is_loaded = load_checkpoint(checkpoint.parent, fitting)
    after = fitting.stack.state_dict().values()
    is_same = all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert is_loaded != (is_same and fitting.num_epochs_done == 0)
    return not is_loaded


def test_every_option_matters(source, checkpoint):
    assert set(OTHER_OPTIONS) == set(FitOptions.__dataclass_fields__)
    assert not is_ignored(checkpoint, begin_fit(source, **SETTINGS))
    for name, value in OTHER_OPTIONS.items():
        assert is_ignored(checkpoint, begin_fit(source, **{**SETTINGS, name: value})), name


def test_labels_matter(source, checkpoint):
    options = begin_fit(source, **SETTINGS).options
    labels = source.labels()
    flipped = [row.clone() for row in labels.correct]
    flipped[3][0] = ~flipped[3][0]
    assert is_ignored(checkpoint, HeadFitting(source, labels._replace(correct=flipped), options))
    moved = [list(side) for side in labels[1:]]
    for side in moved:
        side[3] = not side[3]
    other = labels._replace(is_train=moved[0], is_validation=moved[1])
    assert is_ignored(checkpoint, HeadFitting(source, other, options))


@pytest.mark.parametrize("standardize", [True, False], ids=["standardised", "as it is"])
def test_features_matter(source, tmp_path, standardize):
    """Other numbers of the same shape, too: another projection of the same candidates."""
    settings = {**SETTINGS, "standardize": standardize}
    fitting = begin_fit(source, **settings)
    fitting.run_epoch()
    save_checkpoint(tmp_path, fitting)
    checkpoint = tmp_path / CHECKPOINT_NAME
    other = PlantedSource(32)
    assert not is_ignored(checkpoint, begin_fit(other, **settings))
    states = other._packs[1].states
    states[3, 5] += 1
    assert is_ignored(checkpoint, begin_fit(other, **settings))
    states[3, 5] -= 1
    first = other.shards[0]
    other.shards[0] = Shard(first.prompts[::-1], first.num_candidates[::-1], first.num_tokens)
    assert fit_digest(begin_fit(other, **settings)) != fit_digest(begin_fit(source, **settings))
    assert is_ignored(checkpoint, begin_fit(PlantedSource(32, dtype="float16"), **settings))
    for name, value in {"model": "other", "scored_tokens": "response", "num_layers": 4}.items():
        other = PlantedSource(32)
        other.spec = dataclasses.replace(other.spec, **{name: value})
        assert is_ignored(checkpoint, begin_fit(other, **settings)), name


def test_flipped_bytes_are_never_believed(source, checkpoint):
    whole = checkpoint.read_bytes()
    expected = begin_fit(source, **SETTINGS)
    assert load_checkpoint(checkpoint.parent, expected)
    num_refused = 0
    header_end = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(0, header_end, 97), *range(header_end, len(whole), 53), len(whole) - 1]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        checkpoint.write_bytes(damaged)
        fitting = begin_fit(source, **SETTINGS)
        if load_checkpoint(checkpoint.parent, fitting):  # nothing that counts was hit
            assert_same_heads(fitting, expected)
            assert place < header_end
        else:
            num_refused += 1
            assert fitting.num_epochs_done == 0
    assert num_refused > 0.9 * len(places)


def test_cut_files_are_never_believed(source, checkpoint):
    whole = checkpoint.read_bytes()
    for size in (0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        checkpoint.write_bytes(whole[:size])
        assert is_ignored(checkpoint, begin_fit(source, **SETTINGS))
    checkpoint.write_bytes(whole + b"\0")
    assert is_ignored(checkpoint, begin_fit(source, **SETTINGS))


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"fit": ""}, {"fit": "[]"}, {"fit": "null"}, {"fit": "{}"}, {"fit": '{"a"'}],
    ids=str,
)
def test_other_files_of_that_name(source, tmp_path, metadata):
    tensors = {"stack.weights.0": torch.zeros(2, 12)}
    save_file(tensors, tmp_path / CHECKPOINT_NAME, metadata=metadata)
    assert is_ignored(tmp_path / CHECKPOINT_NAME, begin_fit(source, **SETTINGS))


def test_tensors_of_another_checkpoint(source, checkpoint):
    """The record of one epoch with the tensors of another is no checkpoint."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(checkpoint, framework="pt") as file:
        record = file.metadata()
    assert json.loads(record["fit"])["fits"][0]["epoch"] >= 0
    tensors = load_file(checkpoint)
    for name in ("stack.weights.1", "best.0", "optimizer.0.exp_avg", "optimizer.0.step"):
        changed = {**tensors, name: tensors[name] + 1}
        save_file(changed, checkpoint, metadata=record)
        assert is_ignored(checkpoint, begin_fit(source, **SETTINGS))
        save_file({key: tensors[key] for key in tensors if key != name}, checkpoint, record)
        assert is_ignored(checkpoint, begin_fit(source, **SETTINGS))
    save_file(tensors, checkpoint, metadata=record)
    assert not is_ignored(checkpoint, begin_fit(source, **SETTINGS))


def test_damaged_checkpoint_is_replaced(source, checkpoint):
    checkpoint.write_bytes(b"nothing")
    fitting = begin_fit(source, **SETTINGS)
    fitting.run_epoch()
    save_checkpoint(checkpoint.parent, fitting)
    assert load_checkpoint(checkpoint.parent, begin_fit(source, **SETTINGS))
    assert [file.name for file in checkpoint.parent.iterdir()] == [CHECKPOINT_NAME]
