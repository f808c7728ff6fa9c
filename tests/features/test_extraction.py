"""Extraction: the disk is said first, a store goes on only as it was begun, nothing runs twice."""

import re

import pytest
import torch

from feature_cases import (
    assert_same_features,
    contents,
    extract,
    features_by_prompt,
    named_model,
    own_states,
    random_prompts,
    shared_model,
    with_small_shards,
    write_candidates,
)
from swift_bon.candidates.files import append_candidates
from swift_bon.features import extraction, store_writer
from swift_bon.features.extraction import extract_features, open_features
from swift_bon.features.store_files import keep_entries, read_entries, read_index
from swift_bon.models.sampled_weights import weights_digest
from tiny_models import tiny_tokenizer

PROMPTS = random_prompts(16)


@pytest.mark.parametrize("scored_tokens", ["fed", "response"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3"])
def test_stored_features_are_the_models_own_states(tmp_path, folder, name, scored_tokens):
    path = write_candidates(tmp_path / "a.jsonl", PROMPTS, model=f"tiny/{name}")
    model = named_model(name)
    settings = {"projection": None, "dtype": "float32", "layers": [0, 2, 3]}
    store = extract(path, folder, model, scored_tokens=scored_tokens, **settings)
    expected = {
        prompt.id: [
            states[[0, 2, 3]].permute(1, 0, 2).flatten(1)
            for states in own_states(model, prompt, scored_tokens)
        ]
        for prompt in PROMPTS
    }
    found = features_by_prompt(store, PROMPTS)
    assert_same_features(found, expected, rtol=1e-4, atol=1e-4)


def test_defaults(path, folder):
    said = []
    store = extract_features(shared_model(), tiny_tokenizer(), path, folder, say=said.append)
    assert (store.spec.dtype, store.spec.dim, store.spec.scored_tokens) == ("float16", 128, "fed")
    assert len(said) == 1
    bare = extract(path, folder / "bare", projection=None)
    assert (bare.spec.dtype, bare.spec.dim, bare.spec.projection) == ("bfloat16", 128, None)


@pytest.mark.parametrize(
    "settings",
    [{}, {"projection": None}, {"projection": "per_layer", "projection_dim": 128}],
    ids=["mixed", "none", "per-layer"],
)
def test_the_disk_that_is_said_is_the_disk_that_is_used(tmp_path, folder, settings, monkeypatch):
    path = write_candidates(tmp_path / "a.jsonl", random_prompts(200))
    said = []
    extract(path, folder, say=said.append, **settings)
    (number,) = re.findall(r"need (\S+) GB in", said[0])
    used = sum(len(c) for name, c in contents(folder).items() if name.endswith(".safetensors"))
    assert 0.8 * used < float(number) * 1e9 < 1.05 * used
    assert "tokens (" in said[0] and f" numbers each, {read_index(folder)[0].dtype})" in said[0]
    extract(path, folder, say=said.append, **settings)
    assert len(said) == 1  # nothing is missing


def test_a_disk_that_is_too_small_stops_before_the_start(path, folder, forwarded, monkeypatch):
    said = []
    need = {"say": said.append, "projection": None}
    extract(path, folder / "whole", **need)
    num_bytes = float(re.findall(r"need (\S+) GB", said[0])[0]) * 1e9
    forwarded.clear()
    for free, is_enough in ((0, False), (num_bytes - 1000, False), (num_bytes + 1000, True)):
        free_bytes = int(free + store_writer.DISK_RESERVE_BYTES)
        usage = type("Usage", (), {"free": free_bytes})
        monkeypatch.setattr(store_writer.shutil, "disk_usage", lambda where, usage=usage: usage)
        store = folder / str(free)
        if is_enough:
            extract(path, store, **need)
        else:
            with pytest.raises(OSError, match=r"need \S+ GB in .* GB free; take another folder"):
                extract(path, store, **need)
            assert contents(store) == {}
            assert not forwarded and len(said) == 1
    assert forwarded


def test_the_basis_counts_too(path, folder, monkeypatch):
    """With few tokens it is the larger part."""
    said = []
    extract(path, folder, say=said.append, projection_dim=100)
    basis_bytes = (folder / "projection.safetensors").stat().st_size
    assert float(re.findall(r"need (\S+) GB", said[0])[0]) * 1e9 > basis_bytes


def test_a_whole_store_needs_no_forward(path, folder, forwarded):
    extract(path, folder)
    before = contents(folder)
    forwarded.clear()
    extract(path, folder)
    assert contents(folder) == before
    assert not forwarded


@pytest.mark.parametrize("settings", [{}, {"projection": None}], ids=["mixed", "none"])
def test_a_grown_file_adds_only_its_new_prompts(tmp_path, path, folder, forwarded, settings):
    first = features_by_prompt(extract(path, folder, **settings), PROMPTS)
    grown = random_prompts(22)
    append_candidates(path, grown[16:])
    forwarded.clear()
    features = features_by_prompt(extract(path, folder, **settings), grown)
    new = [len(c.token_ids) for prompt in grown[16:] for c in prompt.candidates]
    assert sum(forwarded) == sum(length > 1 for length in new)
    assert features.keys() == {prompt.id for prompt in grown}
    assert_same_features({name: features[name] for name in first}, first)


@pytest.mark.parametrize("damage", ["lost", "cut", "forgotten"])
def test_a_lost_shard_is_made_again(path, folder, forwarded, monkeypatch, damage):
    with_small_shards(monkeypatch)
    extract(path, folder)
    before = contents(folder)
    entries = read_entries(folder)
    file = folder / entries[1].file
    if damage == "lost":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        keep_entries(folder, lambda entry: entry != entries[1])
    forwarded.clear()
    store = extract(path, folder)
    lost = {stored.id for stored in entries[1].prompts}
    again = [c for prompt in PROMPTS if prompt.id in lost for c in prompt.candidates]
    assert sum(forwarded) == sum(len(c.token_ids) > 1 for c in again)
    assert {e.sha256 for e in read_entries(folder)} == {e.sha256 for e in entries}
    assert len(contents(folder)) == len(before)
    features_by_prompt(store, PROMPTS)


def test_shards_without_their_index_do_not_count(path, folder, monkeypatch):
    """Nothing says what they are made of; the next store may be of another basis."""
    with_small_shards(monkeypatch)
    extract(path, folder)
    (folder / "index.json").unlink()
    store = extract(path, folder, seed=1)
    fresh = extract(path, folder.with_name("fresh"), seed=1)
    assert contents(folder) == contents(fresh.folder)
    assert_same_features(features_by_prompt(store, PROMPTS), features_by_prompt(fresh, PROMPTS))


def test_a_store_of_one_file_serves_a_part_of_it(tmp_path, path, folder, forwarded):
    extract(path, folder)
    forwarded.clear()
    store = extract(write_candidates(tmp_path / "part.jsonl", PROMPTS[5:7]), folder)
    assert features_by_prompt(store, PROMPTS[5:7]).keys() == {p.id for p in PROMPTS[5:7]}
    assert not forwarded


def test_digest_of_weights():
    assert weights_digest(shared_model()) == weights_digest(named_model())
    assert weights_digest(named_model()) != weights_digest(named_model(hidden_size=16))
    changed = named_model()
    changed.model.norm.weight.data[0] += 1e-3
    assert weights_digest(changed) != weights_digest(shared_model())
    assert weights_digest(named_model().to(torch.bfloat16)) != weights_digest(shared_model())


def test_opening_extracts_only_what_is_missing(path, forwarded):
    loads = []

    def load():
        loads.append(shared_model())
        return shared_model(), tiny_tokenizer()

    settings = {"dtype": "float32", "projection": "per_layer", "projection_dim": 12, "seed": 3}
    folder = extraction.default_folder(path)
    assert folder == path.with_name("a.features")
    first = extract(path, folder, scored_tokens="response", layers=[1, 2], **settings)
    expected = features_by_prompt(first, PROMPTS)
    forwarded.clear()
    found = features_by_prompt(open_features(path, load=load), PROMPTS)
    assert_same_features(found, expected)
    assert not loads and not forwarded
    grown = random_prompts(20)
    append_candidates(path, grown[16:])
    store = open_features(path, load=load, batch_size=8, say=lambda text: None)
    assert len(loads) == 1
    assert sum(forwarded) == sum(len(prompt.candidates) for prompt in grown[16:])
    assert read_index(folder)[1]["seed"] == 3
    assert features_by_prompt(store, grown).keys() == {prompt.id for prompt in grown}
    with pytest.raises(ValueError, match="scored_tokens is 'fed', the features in .* 'response'"):
        open_features(path, load=load, scored_tokens="fed")


def test_opening_makes_a_new_store(path, folder):
    def load():
        return shared_model(), tiny_tokenizer()

    quiet = {"load": load, "say": lambda text: None}
    store = open_features(path, folder, layers=[0, 3], scored_tokens="response", **quiet)
    assert (store.spec.layers, store.spec.scored_tokens) == ((0, 3), "response")
    assert open_features(path, folder.with_name("b"), **quiet).spec.scored_tokens == "fed"
