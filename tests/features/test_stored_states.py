"""Stores made from a store of the states: the same features, without the model."""

import pytest
import torch

from feature_cases import (
    extract,
    features_by_prompt,
    random_prompts,
    with_small_shards,
    write_candidates,
)
from swift_bon import storage as checksums
from swift_bon.candidates.files import append_candidates
from swift_bon.features import store as store_module
from swift_bon.features import store_writer, stored_states
from swift_bon.features.extraction import open_features, project_features
from swift_bon.features.store import FeatureStore
from swift_bon.features.stored_states import StoredStates

PROMPTS = random_prompts(20)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_candidates(tmp_path_factory.mktemp("states") / "a.jsonl", PROMPTS)


@pytest.fixture(scope="module")
def states(path):
    """Of all prompts, float32."""
    folder = path.parent / "states"
    extract(path, folder, projection=None, dtype="float32")
    return folder


def features_of(store: FeatureStore, prompts=PROMPTS) -> dict[str, torch.Tensor]:
    """`[tokens, D]` of each prompt."""
    return {name: torch.cat(rows) for name, rows in features_by_prompt(store, prompts).items()}


@pytest.mark.parametrize("layers", [None, [0, 2, 3]], ids=["all-layers", "some"])
def test_states_in_another_dtype_and_of_some_layers(path, states, tmp_path, layers):
    made = features_of(
        project_features(
            path, states, tmp_path / "made", projection=None, dtype="float16", layers=layers
        ),
        PROMPTS,
    )
    direct = features_of(
        extract(path, tmp_path / "direct", projection=None, dtype="float16", layers=layers), PROMPTS
    )
    assert made.keys() == direct.keys() == {prompt.id for prompt in PROMPTS}
    for name, expected in direct.items():
        torch.testing.assert_close(made[name], expected, atol=2e-3, rtol=2e-3)  # float16


@pytest.mark.parametrize("kind", ["mixed", "per_layer"])
def test_projection_of_stored_states(path, states, tmp_path, kind):
    store = project_features(
        path, states, tmp_path, projection=kind, projection_dim=8, dtype="float32"
    )
    whole = features_of(FeatureStore(states, PROMPTS), PROMPTS)
    for name, z in features_of(store, PROMPTS).items():
        layers = whole[name].split(32, dim=1)
        torch.testing.assert_close(z, store.spec.projection.apply(layers), atol=1e-5, rtol=1e-5)
    everything = torch.cat(list(features_of(store, PROMPTS).values()))
    assert 0.5 < float(everything.var(dim=0).mean()) < 2


def test_only_the_prompts_of_the_file_are_taken(states, tmp_path):
    few = PROMPTS[3:9]
    path = write_candidates(tmp_path / "few.jsonl", few)
    store = project_features(path, states, tmp_path / "made", projection=None, dtype="float32")
    found = features_of(store, few)
    whole = features_of(FeatureStore(states, PROMPTS), PROMPTS)
    assert found.keys() == {prompt.id for prompt in few}
    assert sum(shard.num_tokens for shard in store.shards) == sum(map(len, found.values()))
    for name, value in found.items():
        assert torch.equal(value, whole[name])


def test_it_goes_on_where_it_stopped(path, states, tmp_path, monkeypatch):
    """The write of the shard fails, after the index was written."""

    def fail(*args):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(store_writer, "write_shard", fail)
        with pytest.raises(OSError, match="no space"):
            project_features(path, states, tmp_path / "a", projection_dim=8)
    first = features_of(project_features(path, states, tmp_path / "a", projection_dim=8), PROMPTS)
    other = features_of(project_features(path, states, tmp_path / "b", projection_dim=8), PROMPTS)
    assert all(torch.equal(first[name], other[name]) for name in other)


def test_refusals(path, states, tmp_path):
    project_features(path, states, tmp_path / "z", projection_dim=8)
    with pytest.raises(ValueError, match="expected the states themselves"):
        project_features(path, tmp_path / "z", tmp_path / "again")
    with pytest.raises(ValueError, match="projection_dim was 8, now 9"):
        project_features(path, states, tmp_path / "z", projection_dim=9)
    with pytest.raises(ValueError, match="states was 'float32', now None"):
        extract(path, tmp_path / "z", projection="mixed", projection_dim=8)
    project_features(path, states, tmp_path / "two", projection=None, layers=[1, 2])
    with pytest.raises(ValueError, match="layers has 3, the features have"):
        project_features(path, tmp_path / "two", tmp_path / "three", layers=[1, 3])
    with pytest.raises(ValueError, match="dtype is 'int8'"):
        project_features(path, states, tmp_path / "four", dtype="int8")
    assert not (tmp_path / "four").exists()


@pytest.fixture
def many_shards(path, tmp_path, monkeypatch):
    """The states again, a few prompts a shard."""
    with_small_shards(monkeypatch)
    return extract(path, tmp_path / "many", projection=None, dtype="float32")


def test_a_sample_of_few_shards_and_of_all(many_shards, monkeypatch):
    source = StoredStates(many_shards, many_shards.spec)
    num_shards = len(source.shards)
    assert num_shards > 4
    num_tokens = sum(shard.num_tokens for shard in source.shards)
    whole = list(source.sample(0))
    assert sum(len(layers[0]) for layers in whole) == num_tokens
    monkeypatch.setattr(stored_states, "SAMPLE_SHARDS", num_shards)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(source.sample(0), whole, strict=True))
    monkeypatch.setattr(stored_states, "SAMPLE_SHARDS", 3)
    few = list(source.sample(0))
    assert [len(layers[0]) for layers in few] == [len(layers[0]) for layers in whole[:3]]
    monkeypatch.setattr(stored_states, "SAMPLE_TOKENS", 6)
    taken = sum(len(layers[0]) for layers in source.sample(0))
    assert 6 <= taken <= 6 + 3


def test_nothing_is_hashed_twice(path, many_shards, tmp_path, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        store_module,
        "check_sha256",
        lambda file, *args: hashed.append(file) or checksums.check_sha256(file, *args),
    )
    project_features(path, many_shards.folder, tmp_path / "made", projection_dim=8)
    assert len(set(hashed)) == len(hashed) == len(many_shards.shards)


def test_what_is_missing_cannot_be_extracted_into_a_projection(states, tmp_path):
    path = write_candidates(tmp_path / "a.jsonl", PROMPTS)
    project_features(path, states, tmp_path / "made", projection_dim=8)
    assert open_features(path, tmp_path / "made", load=None).spec.dim == 8
    append_candidates(path, random_prompts(22)[20:])
    with pytest.raises(ValueError, match="made from a store of states; extract .* with --states"):
        open_features(path, tmp_path / "made", load=None)
