"""What a reader of the terminal sees while a head is fitted, and how often its file is opened."""

import sys
from pathlib import Path

import pytest

from feature_cases import shared_model
from fit_cases import TRAINING
from swift_bon.features.extraction import open_features
from swift_bon.features.model_features import stream_features
from swift_bon.fitting import reading_order
from swift_bon.fitting.data import read_training_data
from swift_bon.fitting.options import FitOptions
from swift_bon.fitting.training import fit_head, train_reward_head
from tiny_models import tiny_tokenizer

QUICK = {**TRAINING, "epochs": 2}


@pytest.fixture(params=["store", "model"])
def source(request, path, store):
    return store if request.param == "store" else stream_features(*loaded(), path)


def loaded():
    return shared_model(), tiny_tokenizer()


def test_silence(path, source, capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    train_reward_head(path, source, tmp_path, **{**QUICK, "show_progress": False})
    assert capfd.readouterr() == ("", "")


def test_life_on_a_terminal(path, source, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(reading_order, "BAR_DELAY_S", 0)
    train_reward_head(path, source, **{**QUICK, "show_progress": True})
    shown = capsys.readouterr().err
    places = [
        shown.index(text) for text in ("reading moments: 0", "epoch 1:   0%", "epoch 2:   0%")
    ]
    assert places == sorted(places)
    assert shown.index("reading features:   0%") < shown.index("epoch 2:")
    assert shown.count("held-out prompts:   0%") == 2


@pytest.fixture
def opens(path, monkeypatch):
    """A list that grows by one each time the candidates file is opened."""
    opened, open_file = [], Path.open

    def counted(self, *args, **kwargs):
        if self == path:
            opened.append(self)
        return open_file(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", counted)
    return opened


def test_a_fit_on_stored_features_reads_the_file_once(path, store, opens):
    train_reward_head(path, store, **QUICK)
    assert len(opens) == 1


@pytest.mark.parametrize(("is_stored", "num_opens"), [(True, 1), (False, 2)])
def test_features_are_opened_without_reading_the_file_again(
    path, store, opens, tmp_path, is_stored, num_opens
):
    """The labels are read once and kept. Tokens, which may be many, are read only where the model
    runs over them, and are gone before the fit begins."""
    options = FitOptions(epochs=1, validation=0.3)
    data = read_training_data(path, options)
    folder = store if is_stored else tmp_path / "store"
    features = open_features(
        path, folder, load=loaded, prompts=data.prompts, show_progress=False, batch_size=8
    )
    fit_head(data, features, None, options, show_progress=False)
    assert len(opens) == num_opens
