"""What the model read of a prompt, as a file has it."""

import json
from dataclasses import replace

import pytest

from swift_bon.candidates.files import read_candidates, replace_candidates
from swift_bon.candidates.records import PromptCandidates, StoredCandidate

GOOD = {"text": "", "token_ids": [1], "correct": True}


@pytest.mark.parametrize("ids", [None, [], 3, "12", ["1"], [1.0], [True], [1, None]], ids=repr)
def test_prompt_token_ids_of_another_type(tmp_path, ids):
    record = {"id": "a", "prompt": "p", "prompt_token_ids": ids, "candidates": [GOOD]}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(ValueError, match="line 1 of .*: prompt_token_ids are not a list of int"):
        read_candidates(path)


def test_prompt_token_ids_are_part_of_what_states_depend_on(tmp_path):
    old = PromptCandidates("a", "p", "", [StoredCandidate("b", [3], True)])
    new, other = (replace(old, prompt_token_ids=ids) for ids in ([7, 8], [7, 9]))
    assert len({old.digest, new.digest, other.digest}) == 3
    path = tmp_path / "a.jsonl"
    replace_candidates(path, [new])
    assert read_candidates(path) == [new]
    replace_candidates(path, [old])
    assert "prompt_token_ids" not in path.read_text()
