"""Stores whose checksums are right and whose contents are not: refused all the same."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from feature_cases import extract, random_prompts, with_small_shards, write_candidates
from swift_bon.features.store import FeatureStore
from swift_bon.features.store_files import INDEX_NAME, PROJECTION_NAME, SHARDS_NAME, read_entries
from swift_bon.features.tensor_files import tensor_sha256
from swift_bon.storage import file_sha256, with_checksum

PROMPTS = random_prompts(24)
KINDS = {
    "mixed": {"projection": "mixed"},
    "per_layer": {"projection": "per_layer"},
    "scaled": {"projection": None, "dtype": "float8"},
    "plain": {"projection": None},
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A store of several small shards of each kind."""
    folder = tmp_path_factory.mktemp("originals")
    path = write_candidates(folder / "a.jsonl", PROMPTS)
    with pytest.MonkeyPatch.context() as patch:
        with_small_shards(patch)
        for kind, settings in KINDS.items():
            extract(path, folder / kind, **settings)
    return folder


@pytest.fixture
def store_to_forge(originals, tmp_path):
    return lambda kind="mixed": shutil.copytree(originals / kind, tmp_path / kind)


def forge(file, change) -> dict:
    """Change the tensors of a file; its new size and checksum."""
    tensors = change(load_file(file))
    save_file({name: value.contiguous() for name, value in tensors.items()}, file)
    return {"num_bytes": file.stat().st_size, "sha256": file_sha256(file)}


def forge_entry(folder, changes: dict) -> None:
    """Change the second line of the list."""
    path = folder / SHARDS_NAME
    lines = path.read_text().splitlines()
    record = json.loads(lines[1])
    del record["checksum"]
    lines[1] = json.dumps(with_checksum(record | changes))
    path.write_text("\n".join(lines) + "\n")


def with_changed(offsets: torch.Tensor, place: int, change: int) -> torch.Tensor:
    changed = offsets.clone()
    changed[place] += change
    return changed


CONTENTS = {
    "dim": lambda x: {**x, "states": x["states"][:, :-1]},
    "dtype": lambda x: {**x, "states": x["states"].bfloat16()},
    "tokens": lambda x: {**x, "states": x["states"][1:]},
    "candidates": lambda x: {**x, "offsets": x["offsets"][1:]},
    "last-offset": lambda x: {**x, "offsets": x["offsets"] - 1},
    "first-offset": lambda x: {**x, "offsets": with_changed(x["offsets"], 0, -1)},
    "falling-offsets": lambda x: {**x, "offsets": with_changed(x["offsets"], 1, 10**6)},
    "small-offsets": lambda x: {**x, "offsets": x["offsets"].int()},
    "offset-pairs": lambda x: {**x, "offsets": x["offsets"][:, None]},
}


@pytest.mark.parametrize("case", CONTENTS)
def test_shard_that_is_not_what_the_list_says(store_to_forge, case):
    folder = store_to_forge()
    forge_entry(folder, forge(folder / read_entries(folder)[1].file, CONTENTS[case]))
    store = FeatureStore(folder, PROMPTS)
    with pytest.raises(ValueError, match=r"shard-00001\S* holds .* the index says .* delete the"):
        store.read(1)


@pytest.mark.parametrize(
    "file", ["../a.jsonl", "/etc/hostname", "shard-1.safetensors", "shard-00001.safetensors\n", 3]
)
def test_a_shard_lies_in_the_folder(store_to_forge, file):
    folder = store_to_forge()
    forge_entry(folder, {"file": file})
    with pytest.raises(ValueError, match="line 2 of .* is not a shard .* delete that line and"):
        read_entries(folder)


ENTRIES = {
    "tokens": {"num_tokens": -1},
    "no-tokens": {"num_tokens": None},
    "candidates": {"prompts": [{"id": "a", "digest": "b", "num_candidates": 2.5}]},
    "ids": {"prompts": [{"id": ["a"], "digest": "b", "num_candidates": 1}]},
    "prompts": {"prompts": 7},
    "unknown": {"more": 1},
}


@pytest.mark.parametrize("case", ENTRIES)
def test_a_shard_of_impossible_numbers(store_to_forge, case):
    folder = store_to_forge()
    forge_entry(folder, ENTRIES[case])
    with pytest.raises(ValueError, match="line 2 of .* is not a shard .* delete that line and"):
        FeatureStore(folder, PROMPTS)


@pytest.mark.parametrize("line", ["[" * 5_000, '{"file": "\\udc00"}', "9" * 5_000, "\0"])
def test_a_line_that_is_no_json(store_to_forge, line):
    folder = store_to_forge()
    with (folder / SHARDS_NAME).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"line \d+ of .* is not a shard .* delete that line and"):
        read_entries(folder)


def test_a_list_of_shards_that_is_no_file(store_to_forge):
    folder = store_to_forge()
    (folder / SHARDS_NAME).unlink()
    os.mkfifo(folder / SHARDS_NAME)
    with pytest.raises(ValueError, match="shards.jsonl is not a file; delete it and"):
        FeatureStore(folder, PROMPTS)


SPECS = {
    "hidden_size": {"hidden_size": 33.0},
    "num_layers": {"num_layers": 0},
    "layers": {"layers": [0, 9_000_000]},
    "no-layers": {"layers": None},
    "nested-layers": {"layers": [[0], [1]]},
    "dtype": {"dtype": "int8"},
    "scored_tokens": {"scored_tokens": ["fed"]},
    "model": {"model": 3},
}


def forge_index(folder, change: dict) -> None:
    index = json.loads((folder / INDEX_NAME).read_text())
    del index["checksum"]
    index["spec"] |= change.get("spec", {})
    index |= {name: value for name, value in change.items() if name != "spec"}
    (folder / INDEX_NAME).write_text(json.dumps(with_checksum(index)))


@pytest.mark.parametrize("case", SPECS)
def test_features_that_no_model_has(store_to_forge, case):
    folder = store_to_forge("plain")
    forge_index(folder, {"spec": SPECS[case]})
    with pytest.raises(ValueError, match="index.json does not describe a feature store .* delete"):
        FeatureStore(folder, PROMPTS)


@pytest.mark.parametrize("projection", [5, "x", [1], {"sha256": "x"}, {"num_bytes": 3}])
def test_an_index_with_another_projection(store_to_forge, projection):
    folder = store_to_forge()
    forge_index(folder, {"projection": projection})
    with pytest.raises(ValueError, match="index.json does not describe a feature store .* delete"):
        FeatureStore(folder, PROMPTS)


def test_a_projection_that_is_no_safetensors(store_to_forge):
    folder = store_to_forge()
    path = folder / PROJECTION_NAME
    path.write_bytes(b"\x80\x02}q\0.")
    sealed = {"file": path.name, "num_bytes": path.stat().st_size, "sha256": file_sha256(path)}
    forge_index(folder, {"projection": sealed})
    with pytest.raises(ValueError, match="projection.safetensors is damaged: .*; delete the f"):
        FeatureStore(folder, PROMPTS)


def test_a_hidden_size_takes_no_memory(store_to_forge):
    folder = store_to_forge("plain")
    forge_index(folder, {"spec": {"hidden_size": 10**13}})
    store = FeatureStore(folder, PROMPTS)
    with pytest.raises(ValueError, match="shard-00000.safetensors is damaged: its sums are not"):
        store.moments()
    with pytest.raises(ValueError, match=r"shard-00000.safetensors holds .* the index says .*0000"):
        store.read(0)


MOMENTS = {
    "dim": lambda x: x[:, 1:],
    "dtype": lambda x: x.bfloat16(),
    "flat": lambda x: x.flatten(),
    "numbers": lambda x: x + 1,
}


@pytest.mark.parametrize("case", MOMENTS)
def test_sums_of_another_form(store_to_forge, case):
    folder = store_to_forge()
    path = folder / read_entries(folder)[1].file
    sealed = forge(path, lambda x: {**x, "moments": MOMENTS[case](x["moments"])})
    if case in ("dim", "flat"):
        sealed["moments_sha256"] = tensor_sha256(load_file(path)["moments"])
    forge_entry(folder, sealed)
    store = FeatureStore(folder, PROMPTS)
    store.read(1)
    with pytest.raises(ValueError, match="shard-00001.safetensors is damaged: its sums are not"):
        store.moments()


PROJECTIONS = {
    "cut": ("mixed", lambda x: {**x, "matrix": x["matrix"][:, :, 1:]}),
    "blocks": ("per_layer", lambda x: {name: value[1:] for name, value in x.items()}),
    "shift": ("mixed", lambda x: {**x, "shift": x["shift"][:, 1:]}),
    "flat": ("mixed", lambda x: {**x, "matrix": x["matrix"].flatten()}),
    "dtype": ("per_layer", lambda x: {**x, "matrix": x["matrix"].double()}),
    "names": ("mixed", lambda x: {**x, "other": x["shift"].clone()}),
    "missing": ("mixed", lambda x: {"shift": x["shift"]}),
    "scale": ("scaled", lambda x: {**x, "scale": x["scale"][:, 1:]}),
}


@pytest.mark.parametrize("case", PROJECTIONS)
def test_a_projection_fits_the_states(store_to_forge, case):
    kind, change = PROJECTIONS[case]
    folder = store_to_forge(kind)
    FeatureStore(folder, PROMPTS)
    index = json.loads((folder / INDEX_NAME).read_text())
    del index["checksum"]
    index["projection"] |= forge(folder / PROJECTION_NAME, change)
    (folder / INDEX_NAME).write_text(json.dumps(with_checksum(index)))
    with pytest.raises(ValueError, match=r"projection\S* holds .*, which projects .* delete the f"):
        FeatureStore(folder, PROMPTS)
