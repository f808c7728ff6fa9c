"""The readers that are tried, and what is done next with whatever they let pass."""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mutations import Draw
from safetensors import SafetensorError
from safetensors.torch import load_file

from swift_bon.candidates import PromptCandidates, read_candidates, read_header
from swift_bon.candidates.files import read_labels
from swift_bon.collection.rollouts import import_rollouts
from swift_bon.collection.score_journal import PromptScores, ScoreJournal
from swift_bon.features.store import FeatureStore
from swift_bon.features.stored_states import StoredStates
from swift_bon.features.tensor_files import tensor_sha256
from swift_bon.models.identity import as_identity
from swift_bon.models.loading import SHIPPED_HEADS
from swift_bon.storage import file_sha256, with_checksum
from swift_bon.tasks import load_task
from swift_kernels import RewardHead
from tiny_models import tiny_tokenizer

FIXTURES = Path(__file__).parent.parent / "fixtures/v0.1"
CANDIDATES = FIXTURES / "candidates.jsonl"
PROMPTS = read_candidates(CANDIDATES)
TOKENIZER = tiny_tokenizer()
SHIPPED = SHIPPED_HEADS / "smollm2-135m"
FINGERPRINT = json.loads((SHIPPED / "config.json").read_bytes())["base_model_fingerprint"]
ORIGIN = {"head": "efd18c4b772cd914"}


class Target(NamedTuple):
    """Files, and what reads them."""

    write: Callable[[Path], object]  # valid ones, into an empty folder
    read: Callable[[Path], object]
    # Checksums are made right again after the damage, so that what they cover is looked at too.
    seal: Callable[[Path, Draw], None] = lambda folder, draw: None


def _read_head(folder: Path) -> None:
    head = RewardHead.from_pretrained(folder)
    head.digest()
    json.dumps(head.config())
    as_identity(head.base_model, head.base_model_fingerprint, folder)


def _read_reference(folder: Path) -> None:
    RewardHead.from_reference_checkpoint(folder / "reference.pt", 3, 8).digest()


def _read_prompts(folder: Path) -> None:
    path = folder / "candidates.jsonl"
    read_labels(path)
    read_candidates(path)
    header = read_header(path)
    {*header.get("scores", []), *header.get("added_scores", {})}
    as_identity(header["model"], header.get("model_fingerprint"), path)
    [of["head"] for of in header.get("added_scores", {}).values() if "head" in of]


def _read_store(folder: Path) -> None:
    store = FeatureStore(folder / "store", PROMPTS)
    as_identity(store.spec.model, store.spec.fingerprint, folder)
    for number in range(len(store.shards)):
        store.will_read(number)
        store.read(number)
    store.moments()
    if store.spec.projection is None:
        list(StoredStates(store, store.spec).sample(0))


def _seal_store(folder: Path, draw: Draw) -> None:
    folder = folder / "store"
    with_sizes = draw.random() < 0.9
    for path in (folder / "index.json", folder / "shards.jsonl"):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            lines = (
                path.read_text("utf-8").splitlines()
                if path.suffix == ".jsonl"
                else [path.read_text("utf-8")]
            )
            path.write_text("\n".join(_sealed(line, folder, with_sizes) for line in lines) + "\n")


def _sealed(line: str, folder: Path, with_sizes: bool) -> str:
    record = json.loads(line)
    if not isinstance(record, dict):
        return line
    part = record.get("projection", record)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, SafetensorError):
        file = folder / part["file"]
        part["sha256"] = file_sha256(file)
        if with_sizes:
            part["num_bytes"] = file.stat().st_size
        part["moments_sha256"] = tensor_sha256(load_file(file)["moments"])
    record.pop("checksum", None)
    return json.dumps(with_checksum(record))


def _import(folder: Path) -> None:
    settings: dict[str, Any] = {"model": "tiny/llama", "task": "gsm8k", "show_progress": False}
    path = folder / "imported.jsonl"
    try:
        import_rollouts(folder / "rollouts.json", path, TOKENIZER, **settings)
    finally:
        read = [*read_candidates(path), read_header(path)] if path.exists() else []
        assert path.exists() or not [*folder.glob("imported*")], "a header without candidates"
    assert read


def _write_journal(folder: Path) -> None:
    journal = ScoreJournal(folder / "a.rm.scores.jsonl", "rm", ORIGIN)
    journal.append(PROMPTS, [_scores_of(prompt) for prompt in PROMPTS])


def _scores_of(prompt: PromptCandidates) -> PromptScores:
    return PromptScores([0.5] * len(prompt.candidates), [c.token_scores for c in prompt.candidates])


def _read_journal(folder: Path) -> None:
    journal = ScoreJournal(folder / "a.rm.scores.jsonl", "rm", ORIGIN)
    for prompt in PROMPTS:
        if prompt.id in journal:
            scores, tokens = journal.read(prompt)
            torch.tensor(scores, dtype=torch.float64)
            [len(row.rewards) for row in tokens if row is not None]


def _copy(*names: str, to: str | None = None) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name in names:
            source = FIXTURES / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / (to or source.name))

    return write


def _write_prompts(folder: Path) -> None:
    """With what version 0.1 did not write."""
    _copy("candidates.jsonl", "candidates.header.json")(folder)
    path = folder / "candidates.header.json"
    later: dict[str, Any] = {"model_fingerprint": FINGERPRINT, "chat_template_kwargs": {"a": True}}
    later["added_scores"] = {"rm": ORIGIN}
    path.write_text(json.dumps({**json.loads(path.read_text()), **later}))
    path = folder / "candidates.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [json.dumps({**record, "prompt_token_ids": [1, 6, 7]}) for record in records]
    path.write_text("\n".join(lines) + "\n")


def _write_states(folder: Path) -> None:
    _copy("states.features", to="store")(folder)
    path = folder / "store/index.json"
    index = json.loads(path.read_text())
    del index["checksum"]
    index["spec"]["fingerprint"] = FINGERPRINT
    path.write_text(json.dumps(with_checksum(index)))


def _copy_shipped(folder: Path) -> None:
    """With the fingerprint of its model."""
    for name in ("config.json", "model.safetensors"):
        shutil.copy(SHIPPED / name, folder)


TARGETS = {
    "head": Target(_copy("head/config.json", "head/model.safetensors"), _read_head),
    "shipped head": Target(_copy_shipped, _read_head),
    "reference": Target(_copy("reference.pt"), _read_reference),
    "candidates": Target(_write_prompts, _read_prompts),
    "states": Target(_write_states, _read_store, _seal_store),
    "projected": Target(_copy("projected.features", to="store"), _read_store, _seal_store),
    "rollouts": Target(_copy("rollouts.train.json", to="rollouts.json"), _import),
    "test rollouts": Target(_copy("rollouts.test.json", to="rollouts.json"), _import),
    "questions": Target(
        _copy("questions.jsonl"),
        lambda folder: load_task("own", folder / "questions.jsonl").questions("test"),
    ),
    "scores": Target(_write_journal, _read_journal),
}
