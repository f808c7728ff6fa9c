"""The feature store: what was written is read back, and whatever is damaged is refused."""

import itertools
import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file

from feature_cases import (
    assert_same_features,
    extract,
    features_by_prompt,
    random_prompts,
    shared_model,
    write_candidates,
)
from swift_bon.candidates.groups import groups_of
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.features import store
from swift_bon.features.model_features import ModelFeatures
from swift_bon.features.spec import DTYPES
from swift_bon.features.store import FeatureStore
from swift_bon.features.store_files import (
    SHARDS_NAME,
    ShardEntry,
    StoredPrompt,
    append_entry,
    keep_entries,
    new_files,
    read_entries,
    read_index,
)
from swift_bon.features.tensor_files import write_tensors
from swift_bon.storage import file_sha256, with_checksum, without_checksum
from tiny_models import EOS, tiny_tokenizer

PROMPTS = random_prompts(24)


@pytest.fixture
def folder(original, tmp_path):
    """One to damage."""
    return shutil.copytree(original, tmp_path / "store")


def test_round_trip(original):
    stored = FeatureStore(original, PROMPTS)
    assert len(stored.shards) > 3
    straight = ModelFeatures(shared_model(), tiny_tokenizer(), PROMPTS, stored.spec, batch_size=8)
    expected = features_by_prompt(straight, PROMPTS)
    assert_same_features(features_by_prompt(stored, PROMPTS), expected, rtol=1e-2, atol=1e-2)
    states, offsets = stored.read(0, [True] * len(stored.shards[0].prompts))
    assert (states.dtype, offsets.dtype) == (torch.float16, torch.int64)
    assert states.shape == (stored.shards[0].num_tokens, 8)
    stored.will_read(0)


def test_a_shard_is_checked_when_it_is_first_read(original, monkeypatch):
    checked = []
    monkeypatch.setattr(store, "check_sha256", lambda path, *args: checked.append(path.name))
    features = FeatureStore(original, PROMPTS)
    features.moments()
    assert checked == []
    for number in (1, 0, 1, 1, 0):
        features.read(number)
    assert checked == ["shard-00001.safetensors", "shard-00000.safetensors"]


def test_spec_and_source_round_trip(original):
    spec, source = read_index(original)
    assert (spec.model, spec.layers, spec.dtype) == ("tiny/llama", (0, 1, 2, 3), "float16")
    assert (spec.num_layers, spec.hidden_size, spec.scored_tokens) == (4, 32, "fed")
    assert spec.projection.matrix.shape == (1, 8, 128)
    assert (source["projection"], source["projection_dim"], source["seed"]) == ("mixed", 8, 0)


def test_moments_are_of_all_tokens(original):
    store = FeatureStore(original, PROMPTS)
    states = torch.cat([store.read(n).states for n in range(len(store.shards))]).double()
    mean, deviation = store.moments()
    torch.testing.assert_close(mean.double(), states.mean(dim=0), rtol=1e-4, atol=1e-5)
    exact = states.std(dim=0, correction=0)
    torch.testing.assert_close(deviation.double(), exact, rtol=1e-4, atol=1e-5)


def test_a_store_may_hold_more_than_is_asked_for(original):
    everything = features_by_prompt(FeatureStore(original, PROMPTS), PROMPTS)
    few = PROMPTS[3:20:4][::-1]
    store = FeatureStore(original, few)
    assert sorted(p for shard in store.shards for p in shard.prompts if p >= 0) == [0, 1, 2, 3, 4]
    expected = {prompt.id: everything[prompt.id] for prompt in few}
    assert_same_features(features_by_prompt(store, few), expected)


def test_labels_may_change(original):
    changed = [
        PromptCandidates(
            prompt.id,
            prompt.prompt,
            "another reference",
            [StoredCandidate("?", c.token_ids, True, "x", {"s": 1}) for c in prompt.candidates],
        )
        for prompt in PROMPTS
    ]
    FeatureStore(original, changed)


def test_missing_prompts_are_named(original):
    more = random_prompts(26)
    message = f"has no features of 2 of 26 prompts, '{more[24].id}' for one; run extract again"
    with pytest.raises(ValueError, match=re.escape(message)):
        FeatureStore(original, more)


@pytest.mark.parametrize("part", ["tokens", "prompt", "order", "fewer"])
def test_other_tokens_are_refused(original, part):
    prompt = PROMPTS[3]
    text = prompt.prompt + (" " if part == "prompt" else "")
    candidates = list(prompt.candidates)
    if part == "tokens":
        candidates[0] = StoredCandidate("", [*candidates[0].token_ids[:-1], 7, EOS], True, None)
    elif part == "order":
        candidates.reverse()
    elif part == "fewer":
        candidates.pop()
    changed = [*PROMPTS[:3], PromptCandidates(prompt.id, text, "", candidates), *PROMPTS[4:]]
    with pytest.raises(ValueError, match=re.escape(f"other tokens for the prompt '{prompt.id}'")):
        FeatureStore(original, changed)


def test_no_store(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no feature store: it has no index.json"):
        FeatureStore(tmp_path, PROMPTS)


def test_torn_line_does_not_count_and_reading_leaves_it(folder):
    """Another run may be in the middle of it."""
    path = folder / SHARDS_NAME
    whole = path.read_bytes()
    entries = read_entries(folder)
    for end in (-1, -30, whole.rfind(b"\n", 0, -1) + 2):
        path.write_bytes(whole[:end])
        assert read_entries(folder) == entries[:-1]
        assert path.read_bytes() == whole[:end]
        with pytest.raises(ValueError, match="has no features of .* run extract again"):
            FeatureStore(folder, PROMPTS)
    assert keep_entries(folder, lambda entry: True) == entries[:-1]
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:-1])


def test_forgotten_shards(folder):
    entries = read_entries(folder)
    kept = keep_entries(folder, lambda entry: entry.file != entries[1].file)
    assert kept == read_entries(folder) == [entries[0], *entries[2:]]
    assert next(new_files(kept)) == f"shard-{len(entries):05d}.safetensors"
    assert next(new_files(entries[:-1])) == entries[-1].file
    assert list(itertools.islice(new_files([]), 2)) == [
        "shard-00000.safetensors",
        "shard-00001.safetensors",
    ]


def test_digest_of_a_prompt():
    prompt = PROMPTS[3]
    assert prompt.digest == PROMPTS[3].digest
    others = [p for p in PROMPTS if p is not prompt]
    assert prompt.digest not in {other.digest for other in others}


def test_entries_round_trip(tmp_path):
    assert read_entries(tmp_path) == []
    prompts = [StoredPrompt("é\u2028\n\x85", "0" * 16, 3), StoredPrompt("b", "1" * 16, 1)]
    entry = ShardEntry("shard-00000.safetensors", 10, "a", "b", 7, prompts)
    other = ShardEntry("shard-00001.safetensors", 10, "a", "b", 7, [StoredPrompt("c", "2", 1)])
    append_entry(tmp_path, entry)
    append_entry(tmp_path, other)
    assert read_entries(tmp_path) == [entry, other]


def test_checksum_of_a_record():
    record = {"a": [1, 2.5, None, "é"], "b": {"c": True}}
    assert without_checksum(json.loads(json.dumps(with_checksum(record)))) == record
    with pytest.raises(ValueError, match="its checksum is not"):
        without_checksum({**with_checksum(record), "a": [1, 2.5, None, "e"]})


def test_tensors_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    tensors = {"x": torch.arange(12.0).view(3, 4).T}
    num_bytes, sha256 = write_tensors(path, tensors, {"note": "é"})
    assert (path.stat().st_size, file_sha256(path)) == (num_bytes, sha256)
    assert torch.equal(load_file(path)["x"], tensors["x"])
    before = path.read_bytes()

    def fail(*args):
        raise OSError("stopped")

    monkeypatch.setattr("swift_bon.storage.os.replace", fail)
    with pytest.raises(OSError, match="stopped"):
        write_tensors(path, {"x": torch.zeros(3)})
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16", "float8"])
@pytest.mark.parametrize("projection", [None, "per_layer"])
def test_every_dtype_round_trips(tmp_path, name, projection):
    path = write_candidates(tmp_path / "a.jsonl", PROMPTS[:5])
    store = extract(path, tmp_path / "s", dtype=name, projection=projection)
    groups = groups_of(PROMPTS[:5], "basics")
    straight = ModelFeatures(
        shared_model(), tiny_tokenizer(), PROMPTS[:5], store.spec, groups=groups, batch_size=8
    )
    assert store.read(0).states.dtype == DTYPES[name]
    assert torch.equal(store.read(0).states.float(), straight.read(0).states.float())
    assert store.spec.num_blocks == 4
    if name == "float8":
        assert 0.9 < float(store.read(0).states.float().std()) < 1.1 or projection
