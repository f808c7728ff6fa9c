"""What the tests of features share: a tiny model, tiny candidates, and processes to be killed."""

import dataclasses
import functools
import itertools
import multiprocessing
import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from swift_bon.candidates.files import append_candidates, write_header
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.features import extraction, tensor_files
from swift_bon.features.model_features import ModelFeatures, feature_spec
from swift_bon.features.shards import FeatureSource
from swift_bon.models.prompts import render_prompts
from swift_bon.tasks.registry import load_task
from tiny_models import EOS, tiny_model, tiny_tokenizer

RARE_TOKEN = 62  # in no prompt and in no candidate
HEADER = {"task": "basics", "split": "train", "seed": 0, "num_return_sequences": 4, "sampling": {}}
SMALL_SHARD_BYTES = 500
PROJECTED = {"projection": "mixed", "projection_dim": 8}


@functools.cache
def shared_model(name: str = "llama"):
    """For tests that do not change it."""
    return named_model(name)


def named_model(name: str = "llama", **changes):
    model = tiny_model(name, **changes)
    model.config._name_or_path = model.name_or_path = f"tiny/{name}"
    return model


def random_prompts(num_prompts: int, seed: int = 0) -> list[PromptCandidates]:
    """With 1 to 4 candidates each, some of them of a single token."""
    draw = random.Random(seed)
    rows = []
    for index, question in enumerate(load_task("basics").questions("train")[:num_prompts]):
        responses = [
            [*(draw.randrange(6, 60) for _ in range(draw.randrange(0, 7))), EOS]
            for _ in range(index % 4)
        ]
        responses.append([6 + index % 50, EOS] if index % 3 else [EOS])
        candidates = [
            StoredCandidate("", ids, bool(number % 2), None) for number, ids in enumerate(responses)
        ]
        rows.append(PromptCandidates(question.id, question.prompt, question.reference, candidates))
    return rows


def write_candidates(path: Path, prompts: list[PromptCandidates], model: str = "tiny/llama"):
    append_candidates(path, prompts)
    write_header(path, {"model": model, **HEADER})
    return path


def own_states(model, prompt: PromptCandidates, scored_tokens: str) -> list[Tensor]:
    """Of each candidate, `[L, tokens, H]`: one forward each, as the model itself returns them."""
    chat = [{"role": "user", "content": prompt.prompt}]
    (prompt_ids,) = render_prompts(tiny_tokenizer(), [chat])
    found = []
    for candidate in prompt.candidates:
        ids = torch.tensor([prompt_ids + candidate.token_ids])
        with torch.no_grad():
            states = torch.cat(model(ids, output_hidden_states=True).hidden_states)
        end = ids.shape[1] - (1 if scored_tokens == "fed" else 0)
        found.append(states[:, len(prompt_ids) : end])
    return found


def features_by_prompt(
    source: FeatureSource, prompts: list[PromptCandidates]
) -> dict[str, list[Tensor]]:
    """`[tokens, D]` of each candidate of each prompt; no prompt comes twice."""
    found: dict[str, list[Tensor]] = {}
    for number, shard in enumerate(source.shards):
        states, offsets = source.read(number)
        rows = iter(states.float().tensor_split(offsets[1:-1]))
        for position, count in zip(shard.prompts, shard.num_candidates, strict=True):
            candidates = [next(rows) for _ in range(count)]
            if position >= 0:
                assert prompts[position].id not in found
                found[prompts[position].id] = candidates
    return found


def assert_same_features(actual, expected, **tolerance) -> None:
    """Two results of `features_by_prompt`; bit for bit unless a tolerance is given."""
    assert actual.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name], **(tolerance or EXACT))


EXACT = {"rtol": 0, "atol": 0}


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a store but the lock."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != ".lock"}


def with_small_shards(monkeypatch) -> None:
    """A few prompts a shard, so that a tiny store has many."""
    small = functools.partial(ModelFeatures, shard_bytes=SMALL_SHARD_BYTES)
    monkeypatch.setattr(extraction, "ModelFeatures", small)


def extract(path: Path, folder: Path, model=None, tokenizer=None, **changes):
    """`extract_features` with the tiny model, in silence unless there is somebody to say it to."""
    settings = {**PROJECTED, "batch_size": 8, "show_progress": "say" in changes, **changes}
    model = shared_model() if model is None else model
    return extraction.extract_features(
        model, tokenizer or tiny_tokenizer(), path, folder, **settings
    )


def store_of_small_shards(folder: Path, prompts: list[PromptCandidates]) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        with_small_shards(patch)
        extract(write_candidates(folder / "a.jsonl", prompts), folder / "store")
    return folder / "store"


def start_extraction(path: Path, folder: Path, **faults):
    """In a process of its own: the process, and where it says `begun` and then how it ended."""
    context = multiprocessing.get_context("fork")  # another would import everything again
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_extract_with_faults, args=(sender, path, folder, faults))
    process.start()
    sender.close()
    assert receiver.recv() == "begun"
    return process, receiver


def _extract_with_faults(sender, path: Path, folder: Path, faults: dict) -> None:
    """Sleep before each step of a write, die at one of them, or write no file beyond a size."""
    torch.set_num_threads(1)
    steps = itertools.count()

    def faulty(step, *args, **kwargs):
        time.sleep(faults.get("pause_s", 0))
        if next(steps) == faults.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*args, **kwargs)

    for module, name in ((tensor_files, "save_file"), (os, "fsync"), (os, "replace")):
        setattr(module, name, functools.partial(faulty, getattr(module, name)))
    extraction.ModelFeatures = functools.partial(ModelFeatures, shard_bytes=SMALL_SHARD_BYTES)
    model = named_model()
    if "file_bytes" in faults:
        resource.setrlimit(resource.RLIMIT_FSIZE, (faults["file_bytes"],) * 2)
    sender.send("begun")
    try:
        extract(path, folder, model)
    except OSError as error:
        sender.send(f"{type(error).__name__}: {error}")
    else:
        sender.send("done")


FEW_PROMPTS = random_prompts(12)


def spec_of(model=None, layers=None, scored_tokens="fed", dtype="float32", projection=None):
    spec = feature_spec(model or shared_model(), layers, scored_tokens, dtype, False)
    return dataclasses.replace(spec, projection=projection)


def features_of(spec, *, model=None, prompts=FEW_PROMPTS, **settings) -> ModelFeatures:
    return ModelFeatures(model or shared_model(), tiny_tokenizer(), prompts, spec, **settings)


def long_prompts(num_prompts: int, num_candidates: int, num_tokens: int):
    draw = random.Random(0)
    return [
        PromptCandidates(
            prompt.id,
            prompt.prompt,
            "",
            [
                StoredCandidate("", [draw.randrange(6, 60) for _ in range(num_tokens)], True, None)
                for _ in range(num_candidates)
            ],
        )
        for prompt in random_prompts(num_prompts)
    ]
