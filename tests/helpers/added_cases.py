"""What the tests of added scores share: scorers that need no model, and files to be scored."""

import dataclasses
import math

from feature_cases import HEADER
from scoring_cases import texted_prompts
from swift_bon.candidates.files import append_candidates, write_header
from swift_bon.candidates.records import TokenScores
from swift_bon.collection.score_journal import PromptScores

PROMPTS = texted_prompts(12)
ORIGIN = {"reward_model": "a/rm", "digest": "0"}


class TextScorer:
    """The length of a text and a third; infinite for " ab "."""

    gives_token_scores = False
    batch_size = 2

    def __init__(self, origin=ORIGIN):
        self.origin = origin
        self.scored: list[str] = []  # ids
        self.windows: list[int] = []

    def can_score(self, candidate):
        return True

    def check(self, prompt):
        if prompt.id == "bad":
            raise ValueError("candidate 0 of prompt 'bad' is too long")

    def score(self, prompts):
        self.scored += [prompt.id for prompt in prompts]
        self.windows.append(sum(len(prompt.candidates) for prompt in prompts))
        return [
            PromptScores(
                [
                    math.inf if c.text == " ab " else len(c.text) + number + 1 / 3
                    for number, c in enumerate(prompt.candidates)
                ],
                [None] * len(prompt.candidates),
            )
            for prompt in prompts
        ]


class TokenScorer(TextScorer):
    """As a head: texts of one token have no score."""

    gives_token_scores = True

    def __init__(self, digest="0"):
        super().__init__({"head": digest})

    def can_score(self, candidate):
        return len(candidate.token_ids) > 1

    def score(self, prompts):
        rows = []
        for row, prompt in zip(super().score(prompts), prompts, strict=True):
            pairs = list(zip(row.scores, prompt.candidates, strict=True))
            scores = [score if self.can_score(c) else -math.inf for score, c in pairs]
            rows.append(PromptScores(scores, [self.tokens(c) for _, c in pairs]))
        return rows

    def tokens(self, candidate):
        count = len(candidate.token_ids)
        lengths = [*[0] * (count - 1), len(candidate.text)]
        return TokenScores(lengths, [0.1] * count, [None] * count)


def write(folder, prompts=PROMPTS, **header):
    append_candidates(folder / "a.jsonl", prompts)
    write_header(folder / "a.jsonl", {"model": "tiny/llama", **HEADER, **header})
    return folder / "a.jsonl"


def expected(prompts=PROMPTS, name="rm"):
    rows = []
    for prompt in prompts:
        (row,) = TextScorer().score([prompt])
        candidates = [
            dataclasses.replace(c, scores={**c.scores, name: s} if math.isfinite(s) else c.scores)
            for c, s in zip(prompt.candidates, row.scores, strict=True)
        ]
        rows.append(dataclasses.replace(prompt, candidates=candidates))
    return rows


def contents(folder) -> dict[str, bytes]:
    """All files but the lock."""
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name != ".a.jsonl.lock"}
