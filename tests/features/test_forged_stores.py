"""Stores whose checksums are right and whose contents are not: refused all the same."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from feature_cases import extract, random_prompts, with_small_shards, write_candidates
from swift_bon.features.store import FeatureStore
from swift_bon.features.store_files import INDEX_NAME, PROJECTION_NAME, SHARDS_NAME, read_entries
from swift_bon.storage import file_sha256, with_checksum

PROMPTS = random_prompts(24)
KINDS = {
    "mixed": {"projection": "mixed"},
    "per_layer": {"projection": "per_layer"},
    "scaled": {"projection": None, "dtype": "float8"},
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
