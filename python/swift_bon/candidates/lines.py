"""One line of a candidates file: a prompt with its candidates, read and written."""

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from swift_bon.candidates.records import PromptCandidates, StoredCandidate, TokenScores
from swift_bon.storage import parse_json

PROMPT_FIELDS = ("id", "prompt", "reference", "prompt_token_ids", "candidates")
CANDIDATE_FIELDS = ("text", "token_ids", "correct", "scores", "answer", "token_scores")
TOKEN_FIELDS = ("lengths", "rewards", "gates")
LARGEST_BITS = 1023  # of a whole number as a score: more than a float can hold
OPTIONAL = {"reference", "prompt_token_ids", "answer", "scores", "token_scores"}


def parse_line(line: bytes, where: str) -> PromptCandidates:
    try:
        record = parse_json(line)
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
    if "prompt_token_ids" in fields and not (
        prompt.prompt_token_ids and _are_integers(prompt.prompt_token_ids)
    ):
        raise ValueError(f"{where}: prompt_token_ids are not a list of integers")
    return prompt


def _parse_candidate(record: object, what: str, where: str) -> StoredCandidate:
    fields = _check_fields(record, CANDIDATE_FIELDS, what, where)
    token_scores = fields.get("token_scores")
    candidate = StoredCandidate(**{**fields, "token_scores": None})
    if not isinstance(candidate.correct, bool) or not _are_integers(candidate.token_ids):
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
    parsed = parse_token_scores(token_scores, candidate, what, where)
    return replace(candidate, token_scores=parsed)


def _are_integers(values: object) -> bool:
    return isinstance(values, list) and set(map(type, values)) <= {int}


def parse_token_scores(
    record: object, candidate: StoredCandidate, what: str, where: str
) -> TokenScores:
    """Raises ValueError where they are not those of the candidate's tokens."""
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


def to_line(prompt: PromptCandidates) -> str:
    record: dict[str, Any] = {
        "id": prompt.id,
        "prompt": prompt.prompt,
        "reference": prompt.reference,
    }
    if prompt.prompt_token_ids is not None:
        record["prompt_token_ids"] = prompt.prompt_token_ids
    record["candidates"] = [_to_record(candidate) for candidate in prompt.candidates]
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
