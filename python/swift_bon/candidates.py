"""Candidates on disk: JSON lines, one prompt a line, and a header file beside them."""

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

PROMPT_FIELDS = ("id", "prompt", "reference", "candidates")
CANDIDATE_FIELDS = ("text", "token_ids", "correct", "scores", "answer")


@dataclass(frozen=True)
class StoredCandidate:
    """One response as stored. `scores` maps a method's name to a number."""

    text: str
    token_ids: list[int]
    correct: bool
    answer: str | None = None
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PromptCandidates:
    """All candidates of one prompt."""

    id: str
    prompt: str
    reference: str
    candidates: list[StoredCandidate]

    @property
    def digest(self) -> str:
        """Of all that hidden states depend on: the prompt and the token ids. Not of the labels."""
        content = json.dumps([self.prompt, [c.token_ids for c in self.candidates]])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def prompt_digest(self) -> str:
        """Of the text of the prompt alone."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()[:16]

    @property
    def correct(self) -> tuple[bool, ...]:
        return tuple(candidate.correct for candidate in self.candidates)


class PromptLabels(NamedTuple):
    """What fitting needs of a prompt: far less than its tokens, which may be many."""

    id: str
    digest: str
    prompt_digest: str
    correct: tuple[bool, ...]


def header_path(path: Path) -> Path:
    """`runs/train.jsonl` has its sampling settings in `runs/train.header.json`."""
    return path.with_name(path.name.removesuffix(".jsonl") + ".header.json")


def read_header(path: Path) -> dict[str, Any]:
    """The settings the candidates were sampled with.

    Raises:
        FileNotFoundError, ValueError: no header beside the file, or not JSON.
    """
    header = header_path(path)
    if not header.is_file():
        raise FileNotFoundError(
            f"there is no header {header} beside {path}; collect writes both, keep them together"
        )
    try:
        settings = json.loads(header.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{header} is not JSON: {error}") from error
    if not isinstance(settings, dict) or not all(
        isinstance(settings.get(name), str) for name in ("model", "task", "split")
    ):
        raise ValueError(
            f"{header} is not a header of candidates: expected the names of model, task and split"
        )
    return settings


def write_header(path: Path, settings: dict[str, Any]) -> None:
    write_whole(header_path(path), json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def read_candidates(path: str | Path) -> list[PromptCandidates]:
    """All prompts of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not what it should be, or an id comes twice; names the line.
    """
    return list(_iterate(Path(path)))


def read_labels(path: str | Path) -> list[PromptLabels]:
    """All prompts of a file, without their texts and tokens. Raises as `read_candidates`."""
    return [
        PromptLabels(prompt.id, prompt.digest, prompt.prompt_digest, prompt.correct)
        for prompt in _iterate(Path(path))
    ]


def _iterate(path: Path) -> Iterator[PromptCandidates]:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no candidates file {path}; make one with swift-bon collect"
        )
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            prompt = _parse_line(line, f"line {number} of {path}")
            if prompt.id in seen:
                raise ValueError(f"line {number} of {path}: id {prompt.id!r} comes twice")
            seen.add(prompt.id)
            yield prompt


def _parse_line(line: bytes, where: str) -> PromptCandidates:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where} is not a prompt with candidates: {error}") from error
    _check_fields(record, PROMPT_FIELDS, {"reference"}, "the prompt", where)
    if not isinstance(record["candidates"], list):
        raise ValueError(f"{where} is not a prompt with candidates: they are not a list")
    for number, candidate in enumerate(record["candidates"]):
        optional = {"answer", "scores"}
        _check_fields(candidate, CANDIDATE_FIELDS, optional, f"candidate {number}", where)
    candidates = [StoredCandidate(**candidate) for candidate in record["candidates"]]
    prompt = PromptCandidates(**{"reference": "", **record, "candidates": candidates})
    if not candidates:
        raise ValueError(f"{where} has no candidates")
    if not all(isinstance(text, str) for text in (prompt.id, prompt.prompt, prompt.reference)):
        raise ValueError(f"{where}: id, prompt and reference are not all strings")
    for candidate in candidates:
        if (
            not isinstance(candidate.correct, bool)
            or not isinstance(candidate.token_ids, list)
            or not set(map(type, candidate.token_ids)) <= {int}
        ):
            raise ValueError(f"{where}: correct is not true or false, or token_ids not integers")
        if not isinstance(candidate.scores, dict) or not all(
            isinstance(value, int | float) for value in candidate.scores.values()
        ):
            raise ValueError(f"{where}: scores are not all numbers")
    return prompt


def _check_fields(
    record: object, fields: Collection[str], optional: Collection[str], what: str, where: str
) -> None:
    """A JSON object has its fields and no others."""
    if not isinstance(record, dict):
        raise ValueError(f"{where} is not a prompt with candidates: {what} is not an object")
    missing = [name for name in fields if name not in record and name not in optional]
    faults = [f"has no {name!r}" for name in missing]
    faults += [f"has an unknown {name!r}" for name in record if name not in fields]
    if faults:
        raise ValueError(
            f"{where} is not a prompt with candidates: {what} {' and '.join(faults)}; expected "
            f"{', '.join(fields)}"
        )


def append_candidates(path: Path, prompts: list[PromptCandidates]) -> None:
    append_lines(path, [_to_line(prompt) for prompt in prompts])


def append_lines(path: Path, lines: list[str]) -> None:
    """Add lines and put them on the disk before returning."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _to_line(prompt: PromptCandidates) -> str:
    candidates = [
        {
            "text": candidate.text,
            "token_ids": candidate.token_ids,
            "correct": candidate.correct,
            "scores": candidate.scores,
            "answer": candidate.answer,
        }
        for candidate in prompt.candidates
    ]
    record = {
        "id": prompt.id,
        "prompt": prompt.prompt,
        "reference": prompt.reference,
        "candidates": candidates,
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without an end, which a killed run may leave."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part."""
    content = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with staging.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)
