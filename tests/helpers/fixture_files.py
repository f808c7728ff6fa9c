"""One file of each kind, small, made with public names alone: what later versions must read."""

import json
import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from swift_bon import (
    collect,
    extract_features,
    import_rollouts,
    project_features,
    report,
    train_reward_head,
)
from swift_kernels import RewardHead, score_candidates
from tiny_models import tiny_model, tiny_tokenizer

NUM_LAYERS, HIDDEN_SIZE = 3, 8
NUM_DRAWS = 100  # of an evaluation
FIT = {"epochs": 2, "seeds": (0,), "validation": 0.4, "batch_size": 8, "show_progress": False}
INPUTS = ("questions.jsonl", "rollouts.train.json", "rollouts.test.json")
# As the paper's scripts write them for training, and for tests.
COMPLETIONS = [("It is \\boxed{18}.", True), ("It is \\boxed{17}.", False), ("No idea", False)]
QUESTION = {"prompt": "What is nine and nine?", "reference": "18"}
ROLLOUTS = {
    "train": [
        {
            **QUESTION,
            "dataset": "GSM8K",
            "completions": [text for text, _ in COMPLETIONS],
            "correctness": [is_right for _, is_right in COMPLETIONS],
            "steps": [[text] for text, _ in COMPLETIONS],
        }
    ],
    "test": [
        {
            **QUESTION,
            "task": "gsm8k",
            "idx": 0,
            "response": text,
            "steps": [text],
            "extracted_output": "",
            "correctness": is_right,
        }
        for text, is_right in COMPLETIONS
    ],
}


def even_answers_are_right(question, text: str) -> bool:
    """A grader that a random model can please."""
    return len(text) % 2 == 0


def model_and_tokenizer():
    model = tiny_model(
        "llama",
        num_hidden_layers=NUM_LAYERS - 1,
        hidden_size=HIDDEN_SIZE,
        intermediate_size=12,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    model.config._name_or_path = model.name_or_path = "tiny/llama"
    return model, tiny_tokenizer()


def wave(*shape: int) -> Tensor:
    """Numbers that are the same on every machine."""
    steps = range(math.prod(shape))
    return torch.tensor([math.sin(0.7 * step) for step in steps]).view(shape)


def head_scores(head: RewardHead) -> list[float]:
    """What a head gives to three candidates of five tokens."""
    with torch.no_grad():
        return score_candidates(wave(NUM_LAYERS, 3, 5, HIDDEN_SIZE), head).tolist()


def write_files(folder: Path) -> None:
    """Those that others make first, then those that our functions make of them."""
    folder.mkdir(parents=True, exist_ok=True)
    fused = {"fused_layer.weight": wave(2, NUM_LAYERS * HIDDEN_SIZE), "fused_layer.bias": wave(2)}
    torch.save(fused, folder / "reference.pt")
    for split, rollouts in ROLLOUTS.items():
        (folder / f"rollouts.{split}.json").write_text(json.dumps(rollouts, indent=1) + "\n")
    rows = [{"prompt": f"What is {n} and {n}?", "reference": str(2 * n)} for n in range(6)]
    questions = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "questions.jsonl").write_text(questions)
    candidates, states = collect_candidates(folder), folder / "states.features"
    quiet = {"say": lambda text: None}
    extract_features(*model_and_tokenizer(), candidates, states, projection=None, **quiet)
    project_features(candidates, states, folder / "projected.features", projection_dim=8, **quiet)
    train_reward_head(candidates, states, folder / "head", **FIT)
    report(candidates, folder / "candidates.evaluation", num_draws=NUM_DRAWS)
    for name in ("head/curves.png", "candidates.evaluation.png", "candidates.evaluation.html"):
        (folder / name).unlink()
    for lock in folder.rglob(".*lock"):
        lock.unlink()


def collect_candidates(folder: Path) -> Path:
    """Goes on with a file that is there."""
    path = folder / "candidates.jsonl"
    collect(
        *model_and_tokenizer(),
        path,
        task="own",
        data=folder / "questions.jsonl",
        grader=even_answers_are_right,
        num_return_sequences=4,
        head=reference_head(folder),
        max_new_tokens=8,
    )
    return path


def reference_head(folder: Path) -> RewardHead:
    return RewardHead.from_reference_checkpoint(
        folder / "reference.pt", NUM_LAYERS, HIDDEN_SIZE, scored_tokens="fed"
    )


def read_files(folder: Path, scratch: Path) -> dict[str, object]:
    """The numbers that a version finds in the files of a folder."""
    found: dict[str, object] = {
        "head": head_scores(RewardHead.from_pretrained(folder / "head")),
        "digest of head": RewardHead.from_pretrained(folder / "head").digest(),
        "reference.pt": head_scores(reference_head(folder)),
    }
    for name in ("states.features", "projected.features"):
        trained = train_reward_head(folder / "candidates.jsonl", folder / name, **FIT)
        found[name] = head_scores(trained.head)
    for split in ROLLOUTS:
        source, target = folder / f"rollouts.{split}.json", scratch / f"{split}.jsonl"
        settings = {"model": "tiny/llama", "task": "gsm8k"}
        counts = import_rollouts(source, target, tiny_tokenizer(), **settings)
        found[source.name] = [*counts]
    return found


def write_release(folder: Path) -> None:
    """The files of a release, and beside them the numbers that it finds in them."""
    write_files(folder)
    with tempfile.TemporaryDirectory() as scratch:
        numbers = read_files(folder, Path(scratch))
    (folder / "expected.json").write_text(json.dumps(numbers, indent=1) + "\n")
