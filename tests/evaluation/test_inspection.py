"""The page of one prompt: sampled with its tokens' scores, or out of a file."""

import json
import re

import pytest
import torch

from evaluation_cases import random_prompts
from swift_bon import best_of_n
from swift_bon.candidates.files import append_candidates
from swift_bon.evaluation.inspection import inspect_prompt, inspect_stored
from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer

BLOCK = re.compile(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', re.DOTALL)


def blocks(page: str) -> dict[str, dict]:
    return {name: json.loads(text) for name, text in BLOCK.findall(page)}


def test_what_is_sampled_is_what_best_of_n_samples():
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    torch.manual_seed(0)
    head = RewardHead(4, 32)
    settings = {"seed": 5, "max_new_tokens": 6}
    actual = blocks(inspect_prompt(model, tokenizer, "say abc", head, 4, **settings))
    (expected,) = best_of_n(model, tokenizer, "say abc", head, 4, **settings)
    shown = {c["index"]: c for c in actual["question-0"]["candidates"]}
    assert len(shown) == 4
    for index, candidate in enumerate(expected.candidates):
        assert shown[index]["text"] == candidate.text
        assert shown[index]["tokens"] == len(candidate.token_ids)
        assert len(shown[index]["rewards"]) == len(candidate.token_ids)
        assert shown[index]["scores"].get("swift") == pytest.approx(candidate.score) or (
            candidate.score == float("-inf")
        )
    picked = [index for index, candidate in shown.items() if "swift" in candidate["picked"]]
    assert picked == [expected.index]


def test_nothing_is_called_right_or_wrong_where_nobody_knows():
    page = inspect_prompt(
        tiny_model("llama"), tiny_tokenizer(), "abc", RewardHead(4, 32), 3, max_new_tokens=4
    )
    actual = blocks(page)
    assert actual["questions"]["questions"][0]["right"] is None
    assert actual["questions"]["questions"][0]["swift"] is None
    for candidate in actual["question-0"]["candidates"]:
        assert candidate["correct"] is None
        assert "oracle" not in candidate["picked"]
    assert "reference" not in actual["question-0"]


def test_a_stored_prompt_has_all_its_candidates(tmp_path):
    path = tmp_path / "a.jsonl"
    prompts = random_prompts(5, 20)
    append_candidates(path, prompts)
    actual = blocks(inspect_stored(path, "q3"))
    assert actual["questions"]["questions"][0]["id"] == "q3"
    shown = actual["question-0"]["candidates"]
    assert sorted(c["index"] for c in shown) == list(range(20))
    assert {c["index"]: c["correct"] for c in shown} == dict(enumerate(prompts[3].correct))
    assert actual["question-0"]["reference"] == "right"


def test_messages_and_bad_input(tmp_path):
    model, tokenizer, head = tiny_model("llama"), tiny_tokenizer(), RewardHead(4, 32)
    chat = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    page = inspect_prompt(model, tokenizer, chat, head, 2, max_new_tokens=3)
    assert blocks(page)["questions"]["questions"][0]["prompt"] == "one\n\ntwo"
    with pytest.raises(ValueError, match="num_return_sequences is 0"):
        inspect_prompt(model, tokenizer, "abc", head, 0)
    with pytest.raises(ValueError, match="head expects 9 hidden states"):
        inspect_prompt(model, tokenizer, "abc", RewardHead(9, 32))
    with pytest.raises(FileNotFoundError, match="no candidates file"):
        inspect_stored(tmp_path / "none.jsonl", "a")
