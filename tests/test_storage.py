"""The one lock, the one staging file and the one digest that all files are written with."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
import torch

from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.collection.score_journal import _digest
from swift_bon.features.tensor_files import tensor_sha256, write_tensors
from swift_bon.models.sampled_weights import weights_digest
from swift_bon.storage import (
    check_file,
    check_sha256,
    file_sha256,
    only_run,
    parse_json,
    sha256,
    short_digest,
    staged_file,
    with_checksum,
)


def test_digests_are_those_that_stand_in_files():
    """Of all kinds, as the first version wrote them: a file of then is known for ever."""
    candidates = [StoredCandidate("4", [6, 2], True), StoredCandidate("é", [7, 8, 2], False)]
    prompt = PromptCandidates("a", "2 + 2 = ?", "4", candidates)
    assert (prompt.digest, prompt.prompt_digest) == ("510e7032efc93132", "d326b9edba394980")
    assert _digest(prompt) == "31585fad812eab8f"
    assert with_checksum({"a": [1, None, "é"]})["checksum"] == "0c9a0c0f5073bac5"
    rows = torch.arange(6, dtype=torch.float32).view(2, 3)
    assert tensor_sha256(rows).startswith("e20933188a476ce2418266391f2f8755")
    model = torch.nn.Linear(40, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.arange(parameter.numel()).view_as(parameter).float())
    assert weights_digest(model) == "ecc19272cb0a53ca"


def test_a_digest_is_of_all_parts_one_after_the_other():
    assert sha256("a", b"b", "") == hashlib.sha256(b"ab").hexdigest()
    assert short_digest("a", "b") == sha256("ab")[:16] != short_digest("ba")


def test_a_second_run_is_refused(tmp_path, monkeypatch):
    path, folder = tmp_path / "a.jsonl", tmp_path / "store"
    folder.mkdir()
    with only_run(path), only_run(folder, folder / ".lock"), only_run(folder):
        assert sorted(os.listdir(tmp_path)) == [".a.jsonl.lock", ".store.lock", "store"]
        for lock in (None, folder / ".lock"):
            with pytest.raises(ValueError, match="store is being written by another run; wait"):
                with only_run(folder, lock):
                    pytest.fail("two runs at once")
    with only_run(path), only_run(folder, folder / ".lock"):
        pass  # free again
    monkeypatch.chdir(folder)
    with only_run(folder), pytest.raises(ValueError, match="another run"):
        with only_run(type(folder)(".")):
            pytest.fail("one folder by two names")


def test_a_staged_file_takes_its_place_only_at_a_good_end(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with staged_file(path) as staging:
        staging.write_text("old")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), staged_file(path) as staging:
        staging.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["a.txt"]
    num_bytes, digest = write_tensors(path, {"x": torch.ones(3)})
    assert (path.stat().st_size, file_sha256(path)) == (num_bytes, digest)


def test_checks_say_what_the_caller_knows_to_do(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(FileNotFoundError, match="a.txt is missing; bake it again"):
        check_file(path, 3, "bake it again")
    path.write_text("abcd")
    with pytest.raises(ValueError, match="has 4 bytes, expected 3: .*; bake it again"):
        check_file(path, 3, "bake it again")
    with pytest.raises(ValueError, match="is damaged: .*; bake it again"):
        check_sha256(path, sha256("abc"), "bake it again")
    check_sha256(path, sha256("abcd"), "bake it again")


@pytest.mark.parametrize("text", ['{"a": "\\ud83d\\ude00 x"}', "\ufeff[1, null]", "\n 1e999"])
def test_json_that_can_be_written_again(text):
    value = parse_json(text.encode())
    assert value == parse_json(json.dumps(value, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting property name"),
        (b'"\xff"', "can't decode byte"),
        ('{"a": 1}'.encode("utf-16"), "can't decode byte"),
        (b'["\\ud83d", 1]', "surrogates not allowed"),
        (b'{"\\uDE00": 1}', "surrogates not allowed"),
        (b'"\xed\xa0\xbd"', "can't decode byte"),
        (b"[" * 100_000, "more than 200 deep"),
        (b'{"a":' * 201 + b"[]" + b"}" * 201, "more than 200 deep"),
        (b"[" * 800 + b"]" * 800, "more than 200 deep"),
    ],
    ids=range(9),
)
def test_json_that_cannot(content, message):
    with pytest.raises(ValueError, match=message):
        parse_json(content)


def test_storage_needs_no_torch():
    code = "import sys, swift_bon.storage; assert not {'torch', 'safetensors'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
