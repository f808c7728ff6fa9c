"""JSON that Python can hardly read, or cannot write again: a line is named, and a header."""

import json

import pytest

from swift_bon.candidates import read_candidates, read_header

GOOD = '{"id": "a", "prompt": "p", "candidates": [{"text": "", "token_ids": [1], "correct": true}]}'
DAMAGED = {
    "deep": "[" * 9_000,
    "deep-object": '{"id":' * 9_000,
    "long-number": "9" * 5_000,
    "half-a-pair": GOOD.replace('"p"', '"\\ud83d"'),
    "half-a-pair-of-text": GOOD.replace('"text": ""', '"text": "x\\uDE00 y"'),
    "utf-16": GOOD.encode("utf-16-le").decode("latin1"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_line_is_named(tmp_path, case):
    path = tmp_path / "a.jsonl"
    path.write_text(f"{GOOD}\n{DAMAGED[case]}\n")
    with pytest.raises(ValueError, match="line 2 of .*a.jsonl is not a prompt with candidates"):
        read_candidates(path)


@pytest.mark.parametrize("case", DAMAGED)
def test_a_header_is_named(tmp_path, case):
    (tmp_path / "a.header.json").write_text(DAMAGED[case])
    with pytest.raises(ValueError, match=r"a.header.json is not (JSON|a header)"):
        read_header(tmp_path / "a.jsonl")


HEADERS = {
    "scores": {"scores": 3},
    "names": {"scores": ["swift", 3]},
    "added_scores": {"added_scores": ["rm"]},
    "origins": {"added_scores": {"rm": "0123"}},
    "head": {"head": {"digest": "0"}},
    "model_fingerprint": {"model_fingerprint": ["1 float32"]},
    "chat_template_kwargs": {"chat_template_kwargs": "tools"},
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_of_another_form(tmp_path, case):
    header = {"model": "m", "task": "own", "split": "test", **HEADERS[case]}
    (tmp_path / "a.header.json").write_text(json.dumps(header))
    with pytest.raises(
        ValueError, match="a.header.json is not a header of candidates: .*(sco|exp)"
    ):
        read_header(tmp_path / "a.jsonl")


def test_pairs_of_surrogates_are_a_character(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(GOOD.replace('"p"', '"\\ud83d\\ude00"') + "\n")
    assert read_candidates(path)[0].prompt == "\N{GRINNING FACE}"
