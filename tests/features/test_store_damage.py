"""A store that was damaged: each byte is guarded, and what is lost is named with its remedy."""

import json
import re
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from feature_cases import (
    EXACT,
    features_by_prompt,
    random_prompts,
)
from swift_bon.features.store import FeatureStore
from swift_bon.features.store_files import INDEX_NAME, PROJECTION_NAME, SHARDS_NAME, read_entries
from swift_bon.storage import with_checksum

PROMPTS = random_prompts(24)


@pytest.fixture
def folder(original, tmp_path):
    """One to damage."""
    return shutil.copytree(original, tmp_path / "store")


def everything_in(folder):
    """Features, moments and index of a store, all that a reader may believe."""
    store = FeatureStore(folder, PROMPTS)
    spec = store.spec
    fields = {name: value for name, value in vars(spec).items() if name != "projection"}
    features = features_by_prompt(store, PROMPTS)
    return fields, spec.projection._asdict(), features, store.moments()._asdict()


def assert_refused_or_unchanged(folder, expected) -> bool:
    try:
        found = everything_in(folder)
    except (ValueError, FileNotFoundError) as error:
        assert any(word in str(error) for word in ("extract again", "extract these"))
        return True
    assert found[0] == expected[0]
    torch.testing.assert_close(found[1:], expected[1:], **EXACT)
    return False


def test_flipped_bytes_are_noticed(original):
    expected = everything_in(original)
    files = sorted(file for file in original.iterdir() if file.name != ".lock")
    kinds = [
        [file for file in files if file.name == name]
        for name in (INDEX_NAME, SHARDS_NAME, PROJECTION_NAME)
    ]
    kinds.append([file for file in files if file.name.startswith("shard-")])
    refused = []

    @settings(max_examples=250, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 3), st.data(), st.integers(1, 255))
    def flip(kind, data, change):
        file = data.draw(st.sampled_from(kinds[kind]))
        content = file.read_bytes()
        damaged = bytearray(content)
        damaged[data.draw(st.integers(0, len(content) - 1))] ^= change
        file.write_bytes(damaged)
        try:
            refused.append(assert_refused_or_unchanged(original, expected))
        finally:
            file.write_bytes(content)

    flip()
    assert sum(refused) > 0.9 * len(refused)  # blanks between words may change
    assert not assert_refused_or_unchanged(original, expected)


def test_each_number_of_the_lists_is_guarded(original, folder):
    """The kind of damage that leaves a list in good form."""
    expected = everything_in(original)
    for name in (INDEX_NAME, SHARDS_NAME):
        content = (folder / name).read_text()
        places = [i for i, letter in enumerate(content) if letter in "0123456789"]
        for place in places[::3]:
            digit = "1" if content[place] != "1" else "2"
            (folder / name).write_text(content[:place] + digit + content[place + 1 :])
            with pytest.raises((ValueError, FileNotFoundError)):
                FeatureStore(folder, PROMPTS)
        (folder / name).write_text(content)
    assert not assert_refused_or_unchanged(folder, expected)


def shard_file(folder):
    return folder / read_entries(folder)[1].file


@pytest.mark.parametrize("num_bytes", [0, 7, 100, -1])
def test_cut_shard(folder, num_bytes):
    file = shard_file(folder)
    file.write_bytes(file.read_bytes()[:num_bytes])
    with pytest.raises(ValueError, match=r"shard-00001.* bytes, expected \d+: it was cut"):
        FeatureStore(folder, PROMPTS)


def test_lost_shard(folder):
    shard_file(folder).unlink()
    with pytest.raises(FileNotFoundError, match=r"shard-00001\S* is missing; extract again"):
        FeatureStore(folder, PROMPTS)


def test_flipped_byte_in_a_shard_says_what_to_do(folder):
    file = shard_file(folder)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    store = FeatureStore(folder, PROMPTS)
    message = r"shard-00001\S* is damaged: its checksum .* delete the file and extract again"
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            store.read(1)
    store.read(0)


@pytest.mark.parametrize("damage", ["cut", "flipped", "lost"])
def test_damaged_projection_asks_for_a_new_store(folder, damage):
    file = folder / PROJECTION_NAME
    content = file.read_bytes()
    file.write_bytes(content[:-1] + (b"" if damage == "cut" else bytes([content[-1] ^ 1])))
    if damage == "lost":
        file.unlink()
    with pytest.raises((ValueError, FileNotFoundError), match="projection.*; delete the folder"):
        FeatureStore(folder, PROMPTS)


INDEXES = {
    "empty": b"",
    "list": b"[]",
    "null": b"null",
    "not-utf8": b"\xff",
    "cut": b'{"format": 1, "spec": {',
    "nothing": b"{}",
    "no-checksum": b'{"format": 1, "spec": {}}',
}


@pytest.mark.parametrize("case", INDEXES)
def test_damaged_index(folder, case):
    (folder / INDEX_NAME).write_bytes(INDEXES[case])
    with pytest.raises(ValueError, match="does not describe a feature store .* delete the folder"):
        FeatureStore(folder, PROMPTS)


def test_another_version(folder):
    index = json.loads((folder / INDEX_NAME).read_text())
    (folder / INDEX_NAME).write_text(json.dumps({**index, "format": 2}))
    with pytest.raises(ValueError, match="its format is 2, expected 1"):
        FeatureStore(folder, PROMPTS)


def test_damaged_line_of_the_list(folder):
    path = folder / SHARDS_NAME
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1].replace('"num_tokens"', '"tokens"'), *lines[2:]]))
    with pytest.raises(ValueError, match="line 2 of .* is not a shard .* delete that line and"):
        FeatureStore(folder, PROMPTS)


def test_prompt_that_comes_twice(folder):
    path = folder / SHARDS_NAME
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[0]]))
    with pytest.raises(ValueError, match=f"line {len(lines) + 1} of .*: a prompt comes twice"):
        FeatureStore(folder, PROMPTS)
    record = json.loads(lines[0])
    del record["checksum"]
    record["prompts"] *= 2
    path.write_text(json.dumps(with_checksum(record)) + "\n")
    with pytest.raises(ValueError, match="line 1 of .*: a prompt comes twice"):
        FeatureStore(folder, PROMPTS)


def test_damaged_sums(folder):
    """They are read before the checksum of the whole shard is."""
    file = shard_file(folder)
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    assert b"moments" in content[8:start]
    stored = load_file(file)["moments"].numpy().tobytes()
    place = content.index(stored)
    for where, change in ((place, 1), (place + len(stored) - 1, 1), (9, 255)):
        damaged = bytearray(content)
        damaged[where] ^= change
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"shard-00001\S* is damaged.*; delete the file and"):
            FeatureStore(folder, PROMPTS).moments()
    file.write_bytes(content.replace(b'"F64"', b'"I64"'))
    with pytest.raises(ValueError, match=re.escape("its sums are not those that were written")):
        FeatureStore(folder, PROMPTS).moments()
