"""What a reader of the terminal sees while features are made: life from the start, or nothing."""

import pytest

from feature_cases import PROJECTED, extract, random_prompts, shared_model, with_small_shards
from swift_bon.features import store_writer
from swift_bon.features.extraction import extract_features, project_features
from swift_bon.features.model_features import stream_features
from tiny_models import tiny_tokenizer

PROMPTS = random_prompts(16)


@pytest.fixture
def make(path, folder):
    """Either way to a store, by its name; the states of the second way lie there."""
    states = folder / "states"
    extract(path, states, projection=None, dtype="float32")

    def make(way: str, **settings):
        if way == "project":
            return project_features(path, states, folder, **settings)
        return extract_features(
            shared_model(), tiny_tokenizer(), path, folder, batch_size=8, **settings
        )

    return make


@pytest.mark.parametrize("settings", [PROJECTED, {"projection": None, "dtype": "float8"}], ids=str)
@pytest.mark.parametrize("way", ["extract", "project"])
def test_silence(make, capfd, way, settings):
    said = []
    make(way, show_progress=False, say=said.append, **settings)
    assert (said, *capfd.readouterr()) == ([], "", "")


@pytest.mark.parametrize("way", ["extract", "project"])
def test_life_before_the_first_shard(make, capsys, monkeypatch, way):
    """A bar counts the tokens that a projection is found from, another one those of the store."""
    with_small_shards(monkeypatch)
    seen, write_index, write_shard = [], store_writer.write_index, store_writer.write_shard

    def watched(write):
        def watched(*args):
            seen.append(capsys.readouterr().err)
            write(*args)

        return watched

    monkeypatch.setattr(store_writer, "write_index", watched(write_index))
    monkeypatch.setattr(store_writer, "write_shard", watched(write_shard))
    said = []
    store = make(way, say=said.append, **PROJECTED)
    assert len(said) == 1
    assert "finding the projection:   0%" in seen[0]
    assert "finding the projection: 100%" in seen[0]
    assert "extracting:   0%" in seen[1]
    num_tokens = sum(shard.num_tokens for shard in store.shards)
    assert f"{num_tokens}/{num_tokens}" in capsys.readouterr().err


def test_tokens_are_counted_as_the_model_runs(path):
    """Not a shard at a time, which may take minutes."""
    source = stream_features(shared_model(), tiny_tokenizer(), path, batch_size=8)
    counted = []
    pack = source.read(0, advance=counted.append)
    assert len(counted) > 3
    assert sum(counted) == len(pack.states) == source.shards[0].num_tokens
    counted.clear()
    source.moments(counted.append)
    assert len(counted) > 3
