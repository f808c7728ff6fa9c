"""Candidates on disk: JSON lines, one prompt a line, and a header file beside them."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swift_bon.candidates.records import (
    PromptCandidates,
    PromptLabels,
    StoredCandidate,
    TokenScores,
)
from swift_bon.storage import append_lines, whole_file, write_whole

PROMPT_FIELDS = ("id", "prompt", "reference", "candidates")
CANDIDATE_FIELDS = ("text", "token_ids", "correct", "scores", "answer", "token_scores")
TOKEN_FIELDS = ("lengths", "rewards", "gates")
LARGEST_BITS = 1023  # of a whole number as a score: more than a float can hold
OPTIONAL = {"reference", "answer", "scores", "token_scores"}


def header_path(path: Path) -> Path:
    """`runs/train.jsonl` has its sampling settings in `runs/train.header.json`."""
    return path.with_name(path.name.removesuffix(".jsonl") + ".header.json")


def read_header(path: str | Path) -> dict[str, Any]:
    """The settings the candidates were sampled with.

    Raises:
        FileNotFoundError, ValueError: no header beside the file, or not JSON.

    >>> from pathlib import Path
    >>> from swift_bon.candidates import read_header
    >>> settings = '{"model": "smollm2-135m", "task": "basics", "split": "test"}'
    >>> _ = Path("test.header.json").write_text(settings)
    >>> read_header("test.jsonl")["task"]
    'basics'
    """
    header = header_path(Path(path))
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

    >>> import json
    >>> from pathlib import Path
    >>> from swift_bon.candidates import read_candidates
    >>> candidate = {"text": "42", "token_ids": [5, 2], "correct": True}
    >>> prompt = {"id": "own/test/0", "prompt": "What is 6 x 7?", "candidates": [candidate]}
    >>> _ = Path("test.jsonl").write_text(json.dumps(prompt))
    >>> read_candidates("test.jsonl")[0].candidates[0].text
    '42'
    """
    return list(iterate_candidates(path))


def read_labels(path: str | Path) -> list[PromptLabels]:
    """All prompts of a file, without their texts and tokens. Raises as `read_candidates`."""
    return [
        PromptLabels(prompt.id, prompt.digest, prompt.prompt_digest, prompt.correct)
        for prompt in iterate_candidates(path)
    ]


def iterate_candidates(path: str | Path, end: int | None = None) -> Iterator[PromptCandidates]:
    """One prompt after the other, so that a large file need not be held. As `read_candidates`.

    `end`: bytes of the file to read, where lines may be added meanwhile.

    >>> import json
    >>> from pathlib import Path
    >>> from swift_bon.candidates import iterate_candidates
    >>> candidate = {"text": "42", "token_ids": [5, 2], "correct": True}
    >>> prompt = {"id": "own/test/0", "prompt": "What is 6 x 7?", "candidates": [candidate]}
    >>> _ = Path("test.jsonl").write_text(json.dumps(prompt))
    >>> [prompt.id for prompt in iterate_candidates("test.jsonl")]
    ['own/test/0']
    """
    path = check_file(Path(path))
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            end = None if end is None else end - len(line)
            if end is not None and end < 0:
                return
            prompt = _parse_line(line, f"line {number} of {path}")
            if prompt.id in seen:
                raise ValueError(f"line {number} of {path}: id {prompt.id!r} comes twice")
            seen.add(prompt.id)
            yield prompt


def check_file(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no candidates file {path}; make one with swift-bon collect"
        )
    return path


def append_candidates(path: Path, prompts: list[PromptCandidates]) -> None:
    append_lines(path, [_to_line(prompt) for prompt in prompts])


def replace_candidates(path: Path, prompts: Iterable[PromptCandidates]) -> None:
    """Write a file anew, as a whole; the prompts may be read from the old one meanwhile."""
    with whole_file(path) as file:
        for prompt in prompts:
            file.write(_to_line(prompt).encode())


def _parse_line(line: bytes, where: str) -> PromptCandidates:
    try:
        record = json.loads(line)
    except ValueError as error:
        if not line.endswith(b"\n"):
            raise ValueError(
                f"{where} has no end: the run that writes it goes on, or was killed; wait for it, "
                "or run it again"
            ) from error
        raise ValueError(f"{where} is not a prompt with candidates: {error}") from error
    fields = _check_fields(record, PROMPT_FIELDS, "the prompt", where)
    if not isinstance(fields["candidates"], list):
        raise ValueError(f"{where} is not a prompt with candidates: they are not a list")
    candidates = [
        _parse_candidate(candidate, f"candidate {number}", where)
        for number, candidate in enumerate(fields["candidates"])
    ]
    prompt = PromptCandidates(**{"reference": "", **fields, "candidates": candidates})
    if not candidates:
        raise ValueError(f"{where} has no candidates")
    if not all(isinstance(text, str) for text in (prompt.id, prompt.prompt, prompt.reference)):
        raise ValueError(f"{where}: id, prompt and reference are not all strings")
    return prompt


def _parse_candidate(record: object, what: str, where: str) -> StoredCandidate:
    fields = _check_fields(record, CANDIDATE_FIELDS, what, where)
    token_scores = fields.get("token_scores")
    candidate = StoredCandidate(**{**fields, "token_scores": None})
    if (
        not isinstance(candidate.correct, bool)
        or not isinstance(candidate.token_ids, list)
        or not set(map(type, candidate.token_ids)) <= {int}
    ):
        raise ValueError(f"{where}: correct is not true or false, or token_ids not integers")
    if not isinstance(candidate.text, str) or not isinstance(candidate.answer, str | None):
        raise ValueError(f"{where}: text or answer of {what} is not a string")
    if not isinstance(candidate.scores, dict) or not all(
        type(value) is float or (type(value) is int and value.bit_length() <= LARGEST_BITS)
        for value in candidate.scores.values()
    ):
        raise ValueError(f"{where}: scores are not all numbers")
    if token_scores is None:
        return candidate
    parsed = _parse_token_scores(token_scores, candidate, what, where)
    return replace(candidate, token_scores=parsed)


def _parse_token_scores(
    record: object, candidate: StoredCandidate, what: str, where: str
) -> TokenScores:
    what = f"token_scores of {what}"
    tokens = TokenScores(**_check_fields(record, TOKEN_FIELDS, what, where))
    num_tokens = len(candidate.token_ids)
    values = (tokens.lengths, tokens.rewards, tokens.gates)
    if not all(isinstance(row, list) and len(row) == num_tokens for row in values):
        raise ValueError(f"{where}: {what} are not {num_tokens} a list, as many as token_ids")
    numbers = {int, float, type(None)}
    if not set(map(type, tokens.rewards)) | set(map(type, tokens.gates)) <= numbers:
        raise ValueError(f"{where}: rewards or gates in {what} are not numbers or null")
    if (
        not set(map(type, tokens.lengths)) <= {int}
        or min(tokens.lengths, default=0) < 0
        or sum(tokens.lengths) != len(candidate.text)
    ):
        raise ValueError(f"{where}: lengths in {what} do not add up to the text's")
    return tokens


def _check_fields(record: object, fields: Collection[str], what: str, where: str) -> dict[str, Any]:
    """A JSON object has its fields and no others."""
    if not isinstance(record, dict):
        raise ValueError(f"{where} is not a prompt with candidates: {what} is not an object")
    missing = [name for name in fields if name not in record and name not in OPTIONAL]
    faults = [f"has no {name!r}" for name in missing]
    faults += [f"has an unknown {name!r}" for name in record if name not in fields]
    if faults:
        raise ValueError(
            f"{where} is not a prompt with candidates: {what} {' and '.join(faults)}; expected "
            f"{', '.join(fields)}"
        )
    return record


def _to_line(prompt: PromptCandidates) -> str:
    record = {
        "id": prompt.id,
        "prompt": prompt.prompt,
        "reference": prompt.reference,
        "candidates": [_to_record(candidate) for candidate in prompt.candidates],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def _to_record(candidate: StoredCandidate) -> dict[str, Any]:
    record = {
        "text": candidate.text,
        "token_ids": candidate.token_ids,
        "correct": candidate.correct,
        "scores": candidate.scores,
        "answer": candidate.answer,
    }
    if candidate.token_scores is not None:
        record["token_scores"] = vars(candidate.token_scores)
    return record


def check_has_prompts(prompts: Sequence, path: str | Path) -> None:
    if not prompts:
        raise ValueError(f"{path} has no prompts; collect some first")
