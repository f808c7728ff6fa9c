"""What a candidates file holds: prompts, their candidates, and what the head saw in each token."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from swift_bon.storage import short_digest


@dataclass(frozen=True)
class TokenScores:
    """Rewards and gates by position, for each id of `token_ids`. None where it was not scored."""

    lengths: list[int]  # characters of `text` that each token wrote; together all of them
    rewards: list[float | None]
    gates: list[float | None]


@dataclass(frozen=True)
class StoredCandidate:
    """One response as stored. `scores` maps a method's name to a number.

    >>> from swift_bon.candidates import StoredCandidate
    >>> StoredCandidate("Paris", [42, 2], correct=True, scores={"swift": 0.7}).scores["swift"]
    0.7
    """

    text: str
    token_ids: list[int]
    correct: bool
    answer: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    token_scores: TokenScores | None = None


@dataclass(frozen=True)
class PromptCandidates:
    """All candidates of one prompt.

    >>> from swift_bon.candidates import PromptCandidates, StoredCandidate
    >>> candidates = [StoredCandidate("42", [5, 2], True), StoredCandidate("41", [6, 2], False)]
    >>> PromptCandidates("own/test/0", "What is 6 x 7?", "42", candidates).correct
    (True, False)
    """

    id: str
    prompt: str
    reference: str
    candidates: list[StoredCandidate]
    prompt_token_ids: list[int] | None = None  # as the model read it; None: in files of 0.2

    @property
    def digest(self) -> str:
        """Of all that hidden states depend on: the prompt and the token ids. Not of the labels."""
        parts: list[Any] = [self.prompt, [c.token_ids for c in self.candidates]]
        if self.prompt_token_ids is not None:
            parts.append(self.prompt_token_ids)
        return short_digest(json.dumps(parts))

    @property
    def prompt_digest(self) -> str:
        """Of the text of the prompt alone."""
        return short_digest(self.prompt)

    @property
    def correct(self) -> tuple[bool, ...]:
        return tuple(candidate.correct for candidate in self.candidates)


class PromptLabels(NamedTuple):
    """What fitting needs of a prompt: far less than its tokens, which may be many."""

    id: str
    digest: str
    prompt_digest: str
    correct: tuple[bool, ...]
