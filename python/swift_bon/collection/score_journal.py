"""Scores that are not in the candidates file yet, in a file beside it.

    {"name", "origin"}                            first line: of what
    {"id", "digest", "scores", "token_scores"}    one line a prompt; null where there is none

A run killed anywhere leaves whole lines, and at most one without an end, which does not count.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from swift_bon.candidates.files import path_beside
from swift_bon.candidates.lines import parse_token_scores
from swift_bon.candidates.records import PromptCandidates, TokenScores
from swift_bon.storage import (
    append_lines,
    drop_torn_line,
    parse_json,
    short_digest,
    write_whole,
)


class PromptScores(NamedTuple):
    """Of the candidates of one prompt, in their order."""

    scores: list[float]  # NaN or infinite where there is none
    token_scores: list[TokenScores | None]


def journal_path(path: Path, name: str) -> Path:
    """`a.jsonl` has its scores "rm" in `a.rm.scores.jsonl` until all are there."""
    return path_beside(path, f".{name}.scores.jsonl")


class ScoreJournal:
    """What was scored so far; what an earlier run of the same origin left counts.

    Args:
        path: made by the first `append`.
        name: of the scores.
        origin: what gave them.

    Raises:
        ValueError: the file there is of another origin, or damaged.
    """

    def __init__(self, path: Path, name: str, origin: dict[str, str]):
        self.path = path
        self._first_line = json.dumps({"name": name, "origin": origin}) + "\n"
        self._places: dict[str, tuple[str, int]] = {}  # of each prompt: digest, offset of its line
        if path.exists():
            if not path.is_file():
                raise ValueError(f"{path} is not a file; delete it to score anew")
            drop_torn_line(path)
            self._read_places(name, origin)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, prompt_id: str) -> bool:
        return prompt_id in self._places

    @property
    def ids(self) -> set[str]:
        return set(self._places)

    def append(self, prompts: Sequence[PromptCandidates], rows: Sequence[PromptScores]) -> None:
        """Add some prompts; they are on the disk on return."""
        if not self.path.exists() or not self.path.stat().st_size:
            write_whole(self.path, self._first_line)
        digests = [_digest(prompt) for prompt in prompts]
        lines = [
            _to_line(prompt.id, digest, row)
            for prompt, digest, row in zip(prompts, digests, rows, strict=True)
        ]
        place = self.path.stat().st_size
        append_lines(self.path, lines)
        for prompt, digest, line in zip(prompts, digests, lines, strict=True):
            self._places[prompt.id] = (digest, place)
            place += len(line.encode())

    def read(self, prompt: PromptCandidates) -> PromptScores:
        """The scores of a prompt that is in here.

        Raises:
            ValueError: its candidates are others than those that were scored, or the file is
                damaged.
        """
        self.check_same(prompt)
        with self.path.open("rb") as file:
            file.seek(self._places[prompt.id][1])
            line = file.readline()
        try:
            return _to_scores(parse_json(line), prompt)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self.path} has no scores of the candidates of {prompt.id!r} "
                f"({type(error).__name__}: {error}); delete that file to score anew"
            ) from error

    def check_same(self, prompt: PromptCandidates) -> None:
        if self._places[prompt.id][0] != _digest(prompt):
            raise ValueError(
                f"{self.path} has scores of other candidates of the prompt {prompt.id!r}: the "
                f"candidates were changed since; delete {self.path.name} to score them anew"
            )

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _read_places(self, name: str, origin: dict[str, str]) -> None:
        place = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = parse_json(line)
                    if number == 1:
                        scored: Any = {"name": record["name"], "origin": record["origin"]}
                    else:
                        self._places[record["id"]] = (record["digest"], place)
                except (ValueError, TypeError, KeyError) as error:
                    raise ValueError(
                        f"line {number} of {self.path} is not of a run of score "
                        f"({type(error).__name__}: {error}); delete that file to score anew"
                    ) from error
                if number == 1 and scored != {"name": name, "origin": origin}:
                    raise ValueError(
                        f"{self.path} holds scores of {scored}, to be added by a run of the same; "
                        f"this one is {name!r} of {origin}; end that run first, choose another "
                        "name, or delete that file"
                    )
                place += len(line)


def _to_scores(record: dict[str, Any], prompt: PromptCandidates) -> PromptScores:
    """Raises KeyError, TypeError or ValueError where it is not what `_to_line` writes."""
    scores = [math.nan if score is None else score for score in record["scores"]]
    if not set(map(type, scores)) <= {float, int}:
        raise TypeError(f"scores are {record['scores']!r:.80}, expected numbers or null")
    columns = zip(record["token_scores"], prompt.candidates, scores, strict=True)
    tokens = [
        None if row is None else parse_token_scores(row, candidate, f"candidate {number}", "it")
        for number, (row, candidate, _) in enumerate(columns)
    ]
    return PromptScores(scores, tokens)


def _digest(prompt: PromptCandidates) -> str:
    """Of all that a score can depend on: the prompt, the texts and the token ids."""
    texts = [candidate.text for candidate in prompt.candidates]
    return short_digest(json.dumps([prompt.digest, texts]))


def _to_line(prompt_id: str, digest: str, row: PromptScores) -> str:
    record = {
        "id": prompt_id,
        "digest": digest,
        "scores": [score if math.isfinite(score) else None for score in row.scores],
        "token_scores": [None if tokens is None else vars(tokens) for tokens in row.token_scores],
    }
    return json.dumps(record, allow_nan=False) + "\n"
