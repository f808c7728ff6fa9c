"""Faults while a store is written: each ends in a clear error, and the next run goes on."""

import errno
import random
import shutil
import signal

import pytest
from safetensors import SafetensorError

from feature_cases import (
    RARE_TOKEN,
    assert_same_features,
    contents,
    extract,
    features_by_prompt,
    named_model,
    random_prompts,
    start_extraction,
    with_small_shards,
    write_candidates,
)
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.features import tensor_files
from swift_bon.features.store import FeatureStore
from swift_bon.features.store_files import read_entries
from swift_bon.storage import file_sha256
from tiny_models import EOS

PROMPTS = random_prompts(60)
IS_KILLED = -signal.SIGKILL
STEPS_OF_INDEX = 5  # basis: save, fsync, replace; index: fsync, replace
STEPS_OF_SHARD = 4  # save, fsync, replace; line: fsync


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    with_small_shards(monkeypatch)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> dict[str, bytes]:
    """The files of a store that was written in one go."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        with_small_shards(patch)
        extract(write_candidates(folder / "a.jsonl", PROMPTS), folder / "store")
    return contents(folder / "store")


def assert_counted_shards_are_whole(folder) -> int:
    """How many; none has a prompt of another."""
    entries = read_entries(folder)
    for entry in entries:
        assert file_sha256(folder / entry.file) == entry.sha256
    return len(entries)


def test_killed_at_ten_random_moments(path, folder, unbroken):
    draw = random.Random(0)
    num_kills = num_shards = 0
    while num_kills < 10:
        process, _ = start_extraction(path, folder, pause_s=0.005)
        process.join(draw.uniform(0, 0.25))
        process.kill()
        process.join()
        if process.exitcode != IS_KILLED:  # it was done before
            assert contents(folder) == unbroken
            shutil.rmtree(folder)
            num_shards = 0
            continue
        num_kills += 1
        if folder.exists():
            earlier, num_shards = num_shards, assert_counted_shards_are_whole(folder)
            assert num_shards >= earlier  # what was whole stays
    extract(path, folder)
    assert contents(folder) == unbroken


@pytest.mark.parametrize("die_at", range(STEPS_OF_INDEX + 2 * STEPS_OF_SHARD))
def test_killed_at_each_step_of_a_write(path, folder, unbroken, die_at):
    process, _ = start_extraction(path, folder, die_at=die_at)
    process.join()
    assert process.exitcode == IS_KILLED
    num_shards = assert_counted_shards_are_whole(folder)
    # the line of a shard is there before it is put on the disk
    assert num_shards == max(0, (die_at + 1 - STEPS_OF_INDEX) // STEPS_OF_SHARD)
    for name in (".tmpA1b2C3", ".shards.jsonl.99", ".shard-00001.safetensors.99", ".index.json.9"):
        (folder / name).write_text("of a killed run")
    extract(path, folder)
    assert contents(folder) == unbroken


def test_files_of_others_are_left_alone(path, folder, unbroken):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    extract(path, folder)
    assert contents(folder) == {**unbroken, "notes.txt": b"mine"}


FULL = {
    "safetensors": SafetensorError("I/O error: No space left on device (os error 28)"),
    "system": OSError(errno.ENOSPC, "No space left on device"),
}


@pytest.mark.parametrize("num_written", [0, 1, 4], ids=["basis", "first-shard", "fourth-shard"])
@pytest.mark.parametrize("error", FULL)
def test_full_disk(path, folder, unbroken, monkeypatch, error, num_written):
    save, saved = tensor_files.save_file, []

    def save_until_full(tensors, file, metadata):
        if len(saved) == num_written:
            file.write_bytes(b"a part of it")
            raise FULL[error]
        saved.append(file)
        save(tensors, file, metadata)

    with monkeypatch.context() as patch:
        patch.setattr(tensor_files, "save_file", save_until_full)
        with pytest.raises(OSError, match="No space left on device"):
            extract(path, folder)
    assert not list(folder.glob(".shard*"))
    assert assert_counted_shards_are_whole(folder) == max(0, num_written - 1)
    extract(path, folder)
    assert contents(folder) == unbroken


def test_disk_that_ends_in_the_middle_of_a_file(path, folder, unbroken):
    """No file may grow beyond a size, so that the list of shards gets a torn line."""
    lines = unbroken["shards.jsonl"].splitlines(keepends=True)
    limit = len(b"".join(lines[:7])) + 50
    assert limit > max(len(c) for name, c in unbroken.items() if name != "shards.jsonl")
    process, receiver = start_extraction(path, folder, file_bytes=limit)
    assert "File too large" in receiver.recv()
    process.join()
    assert (folder / "shards.jsonl").stat().st_size == limit
    assert assert_counted_shards_are_whole(folder) == 7
    with pytest.raises(ValueError, match="has no features of .* run extract again"):
        FeatureStore(folder, PROMPTS)
    extract(path, folder)
    assert contents(folder) == unbroken


def test_first_file_beyond_the_disk(path, folder, unbroken):
    process, receiver = start_extraction(path, folder, file_bytes=600)
    assert "projection.safetensors could not be written" in receiver.recv()
    process.join()
    assert contents(folder) == {}
    extract(path, folder)
    assert contents(folder) == unbroken


@pytest.mark.parametrize("projection", ["mixed", None])
@pytest.mark.parametrize("dtype", ["float16", "float8"])
def test_nan_in_a_state(tmp_path, folder, projection, dtype):
    prompt = PROMPTS[9]
    said = StoredCandidate("", [RARE_TOKEN, 9, EOS], False, None)
    prompts = [*PROMPTS[:9], PromptCandidates(prompt.id, prompt.prompt, "", [said])]
    path = write_candidates(tmp_path / "b.jsonl", prompts)
    model = named_model()
    model.get_input_embeddings().weight.data[RARE_TOKEN, 3] = float("nan")
    with pytest.raises(ValueError, match=f"state of prompt '{prompt.id}' is NaN or infinite"):
        extract(path, folder, model, projection=projection, dtype=dtype)


def test_states_that_exceed_float16(path, folder):
    model = named_model()
    model.get_input_embeddings().weight.data[8] = 1e5
    with pytest.raises(ValueError, match="more than float16 can hold; take bfloat16, or a proj"):
        extract(path, folder, model, projection=None, dtype="float16")
    store = extract(path, folder.with_name("b"), model, projection=None, dtype="bfloat16")
    assert features_by_prompt(store, PROMPTS)


def test_second_extraction_at_once(path, folder, unbroken):
    refused = []

    def extract_again(text):
        with pytest.raises(ValueError, match="store is being written by another run; wait for"):
            extract(path, folder)
        refused.append(text)

    extract(path, folder, say=extract_again)
    assert len(refused) == 1
    assert contents(folder) == unbroken


def test_second_process_at_once(path, folder, unbroken):
    process, receiver = start_extraction(path, folder, pause_s=0.02)
    while not (folder / "index.json").exists():
        process.join(0.01)
    with pytest.raises(ValueError, match="store is being written by another run; wait for"):
        extract(path, folder)
    assert receiver.recv() == "done"
    process.join()
    assert contents(folder) == unbroken


def test_interrupted_and_grown(tmp_path, path, folder):
    """A file that grew after a killed run, then a lost shard: every prompt once."""
    process, _ = start_extraction(path, folder, die_at=STEPS_OF_INDEX + 3 * STEPS_OF_SHARD)
    process.join()
    grown = random_prompts(70)
    (tmp_path / "grown").mkdir()
    bigger = write_candidates(tmp_path / "grown" / "a.jsonl", grown)
    first = features_by_prompt(extract(bigger, folder), grown)
    (folder / read_entries(folder)[2].file).unlink()
    (folder / read_entries(folder)[5].file).unlink()
    again = features_by_prompt(extract(bigger, folder), grown)
    assert_same_features(again, first, rtol=1e-3, atol=1e-3)
    assert first.keys() == {prompt.id for prompt in grown}
