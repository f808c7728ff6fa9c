"""A caller's default dtype and default device change nothing of what we compute."""

import contextlib
import json

import pytest
import torch

from decoding_cases import make_head
from evaluation_cases import random_prompts
from feature_cases import named_model
from scoring_cases import reward_model
from swift_bon import (
    best_of_n,
    collect,
    evaluate,
    extract_features,
    score_with_head,
    score_with_reward_model,
    stream_features,
    train_reward_head,
)
from swift_bon.candidates.files import append_candidates, write_header
from swift_bon.generation.best_of import sample_candidates
from swift_kernels import RewardHead, RunningScore, score_candidates, score_packed, select_best
from tiny_models import tiny_tokenizer

DTYPES = [torch.bfloat16, torch.float16, torch.float64]
DEFAULTS = {
    "bfloat16": (torch.bfloat16, None),
    "float64": (torch.float64, None),
    "float16 on meta": (torch.float16, "meta"),
}
HEAD, RESPONSE_HEAD = make_head(), make_head("response")
REWARD_MODEL = reward_model()


@contextlib.contextmanager
def defaults(dtype: torch.dtype, device: str | None):
    torch.set_default_dtype(dtype)
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def model():
    return named_model(eos_token_id=None)


def generation(model, folder):
    chats = [[{"role": "user", "content": text}] for text in ("Hello you", "No")]
    options = {"stream_keys": [3, 4], "confidence_window": 8, "with_token_scores": True}
    options |= {"max_new_tokens": 90, "batch_size": 4}
    yield sample_candidates(model, tiny_tokenizer(), chats, HEAD, 3, **options)
    torch.manual_seed(5)
    yield best_of_n(model, tiny_tokenizer(), "Who?", RESPONSE_HEAD, 3, max_new_tokens=9)


def files(model, folder):
    path, options = folder / "a.jsonl", {"show_progress": False}
    settings = {"limit": 12, "num_return_sequences": 2, "max_new_tokens": 6, "batch_size": 32}
    collect(model, tiny_tokenizer(), path, head=HEAD, seed=1, **settings, **options)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for number, candidate in enumerate(line["candidates"]):
            candidate["correct"] = number % 2 == 0
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    yield lines
    sources = {"streamed": stream_features(model, tiny_tokenizer(), path)}
    for name, projection in {"mixed": "mixed", "whole": None}.items():
        settings = {"projection": projection, "projection_dim": 8}
        sources[name] = extract_features(
            model, tiny_tokenizer(), path, folder / name, **settings, **options
        )
        yield [file.read_bytes() for file in sorted((folder / name).glob("*.safetensors"))]
    for name, source in sources.items():
        output = folder / f"{name}-head"
        trained = train_reward_head(path, source, output, epochs=1, seeds=(0,), **options)
        head = RewardHead.from_pretrained(output)
        assert trained.head.digest() == head.digest()
        yield head.digest()
        score_with_head(path, model, tiny_tokenizer(), head, name=name, **options)
    score_with_reward_model(path, REWARD_MODEL, tiny_tokenizer(), name="rm", **options)
    yield path.read_text()


def evaluation(model, folder):
    path = folder / "scored.jsonl"
    append_candidates(path, random_prompts(15, 9, reward=True))  # 9: more subsets than are listed
    write_header(path, {"model": "tiny/llama", "task": "own", "split": "test", "seed": 0})
    yield json.dumps(evaluate(path, num_draws=50, show_progress=False))


def kernels(model, folder):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        states = torch.randn(
            HEAD.num_layers, 3, 40, HEAD.hidden_size, dtype=torch.float32, device="cpu"
        )
    mask = states[0, :, :, 0] > 0
    yield score_candidates(states, HEAD, mask).tolist()
    ends = torch.tensor([0, 7, 7, 40], dtype=torch.int64, device="cpu")
    yield score_packed(states[:, 0], HEAD, ends).tolist()
    running = RunningScore(HEAD, 3)
    for token in range(40):
        running.update(states[:, :, token : token + 1], mask[:, token])
    yield running.scores().tolist()
    yield select_best(running.scores(), 3).tolist()
    yield RewardHead.from_tensors(HEAD.state_dict(), HEAD.num_layers, HEAD.hidden_size).digest()


DOINGS = {"generation": generation, "files": files, "evaluation": evaluation, "kernels": kernels}


@pytest.fixture(scope="module")
def expected(model, tmp_path_factory):
    return {name: list(do(model, tmp_path_factory.mktemp(name))) for name, do in DOINGS.items()}


@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize("name", DOINGS)
def test_results_are_those_without_a_default(name, default, expected, model, tmp_path):
    with defaults(*DEFAULTS[default]):
        found = list(DOINGS[name](model, tmp_path))
    for ours, theirs in zip(found, expected[name], strict=True):
        assert ours == theirs


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_head_is_float32(dtype):
    with defaults(dtype, None):
        head = RewardHead(3, 8)
    assert {parameter.dtype for parameter in head.parameters()} == {torch.float32}
    assert all(parameter.abs().sum() > 0 for parameter in head.parameters())


def test_a_new_head_is_made_where_the_caller_makes_modules():
    with torch.device("meta"):
        assert RewardHead(3, 8).reward_weight.is_meta
    assert RewardHead(3, 8).reward_weight.device.type == "cpu"


class OtherHead(RewardHead):
    """A head of the user's own."""


@pytest.mark.parametrize("cls", [RewardHead, OtherHead])
def test_weights_that_are_given_are_kept(cls, tmp_path):
    head = make_head()
    head.save_pretrained(tmp_path / "head")
    with torch.device("meta"):
        copied = cls.from_tensors(head.state_dict(), head.num_layers, head.hidden_size)
        loaded = cls.from_pretrained(tmp_path / "head")
    assert copied.digest() == loaded.digest() == head.digest()
