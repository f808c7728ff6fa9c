"""Adding scores to a candidates file, so that a kill at any moment loses and doubles nothing.

In this order: the scores of finished prompts go to a journal beside the file; when all are there,
the header says whose they are, the file is replaced by one with the scores, and the journal is
removed. Each step may be done again, so the same command goes on from wherever it was killed.
"""

import glob
import itertools
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tqdm import tqdm

from swift_bon.candidates.files import (
    check_has_prompts,
    header_path,
    iterate_candidates,
    read_header,
    replace_candidates,
    write_header,
)
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.candidates.score_names import LABELS, SWIFT_SCORE, check_score_names
from swift_bon.collection.score_journal import PromptScores, ScoreJournal, journal_path
from swift_bon.storage import only_run

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # it is part of a file's name
WINDOW_BATCHES = 2  # scored between two writes: what a kill may cost


class Scorer(Protocol):
    """What gives the scores."""

    origin: dict[str, str]  # which weights: scores of others are never mixed with them
    batch_size: int
    gives_token_scores: bool

    def can_score(self, candidate: StoredCandidate) -> bool:
        """Whether there is something to score."""
        ...

    def check(self, prompt: PromptCandidates) -> None:
        """Raises ValueError for what cannot be scored, before anything is."""
        ...

    def score(self, prompts: list[PromptCandidates]) -> list[PromptScores]: ...


class AddedScores(NamedTuple):
    """What was done to a file, by this run and by those that it went on from."""

    name: str
    num_prompts: int  # scored
    num_candidates: int  # of these prompts
    num_not_finite: int  # candidates of these prompts that have no score, as it was not finite
    num_skipped: int  # prompts that had their scores already
    has_token_scores: bool


def add_scores(
    path: str | Path, name: str, scorer: Scorer, *, show_progress: bool = True
) -> AddedScores:
    """Score the prompts of a file that lack a score, and store it with each candidate.

    Args:
        path: the candidates, with their header beside them.
        name: of the score. A prompt whose candidates all have it is left alone.
        scorer: its token scores are stored unless the file has those of another head.
        show_progress: bars over the prompts that are checked and the candidates that are scored.

    Raises:
        FileNotFoundError: no candidates, or no header.
        ValueError: a bad name, scores of that name from elsewhere, candidates that cannot be
            scored or that changed since a killed run, or another run on this file.
    """
    path = Path(path)
    check_has_prompts(list(itertools.islice(iterate_candidates(path), 1)), path)
    with only_run(path):
        header = read_header(path)
        is_known = _check_name(name, scorer, header, path)
        has_token_scores = scorer.gives_token_scores and _token_score_name(header) in (None, name)
        journal = ScoreJournal(journal_path(path, name), name, scorer.origin)
        _clear_leftovers(path, header_path(path), journal.path)
        wanted = _Wanted(name, scorer, has_token_scores)
        missing, num_skipped = _survey(path, wanted, journal, is_known, show_progress)
        _score(path, missing, wanted, journal, show_progress)
        num_candidates = num_not_finite = 0
        if len(journal):
            if not is_known:
                added = {**header.get("added_scores", {}), name: scorer.origin}
                write_header(path, {**header, "added_scores": added})
            num_candidates, num_not_finite = _merge(path, wanted, journal)
        num_prompts = len(journal)
        journal.remove()
    return AddedScores(
        name, num_prompts, num_candidates, num_not_finite, num_skipped, has_token_scores
    )


class _Wanted(NamedTuple):
    """Which scores a candidate should have."""

    name: str
    scorer: Scorer
    has_token_scores: bool

    def are_in(self, candidate: StoredCandidate) -> bool:
        has_score = self.name in candidate.scores or not self.scorer.can_score(candidate)
        has_tokens = not self.has_token_scores or candidate.token_scores is not None
        return has_score and (has_tokens or not candidate.token_ids)

    def trace(self, candidate: StoredCandidate) -> bool:
        """Something in it that somebody must have given."""
        has_tokens = self.has_token_scores and candidate.token_scores is not None
        return self.name in candidate.scores or has_tokens


def _clear_leftovers(*paths: Path) -> None:
    """What was to take the place of a file when a run was killed."""
    for path in paths:
        for file in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*"):
            file.unlink(missing_ok=True)


def _check_name(name: str, scorer: Scorer, header: dict[str, Any], path: Path) -> bool:
    """Whether the header knows this score as the scorer's; a bad name raises ValueError."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"name is {name!r}, expected letters, digits, dots, dashes and underscores"
        )
    others = {*header.get("scores", []), *header.get("added_scores", {})} - {name}
    check_score_names([name, *others])
    if name in LABELS and not (name == SWIFT_SCORE and "head" in scorer.origin):
        raise ValueError(f"name is {name!r}, which is {LABELS[name]}; choose another name")
    known = header.get("added_scores", {}).get(name)
    if name == SWIFT_SCORE and header.get("head"):
        known = {"head": header["head"]}  # collect's own
    if known not in (None, scorer.origin):
        raise ValueError(
            f"{path} has scores named {name!r} of {known}, this run is of {scorer.origin}; "
            "choose another name"
        )
    return known is not None


def _token_score_name(header: dict[str, Any]) -> str | None:
    """Name of the score whose head gave the token scores: the first one that a file had."""
    if header.get("head"):
        return SWIFT_SCORE
    return next((name for name, of in header.get("added_scores", {}).items() if "head" in of), None)


def _survey(
    path: Path, wanted: _Wanted, journal: ScoreJournal, is_known: bool, show_progress: bool
) -> tuple[dict[str, int], int]:
    """Candidates of each prompt that is to be scored, and how many prompts need nothing."""
    missing: dict[str, int] = {}
    num_skipped = 0
    unseen = journal.ids
    prompts = iterate_candidates(path)
    for prompt in tqdm(prompts, desc="checking", unit="prompt", disable=not show_progress):
        if not is_known and any(map(wanted.trace, prompt.candidates)):
            raise ValueError(
                f"{path} has scores named {wanted.name!r}, or token scores, and "
                f"{header_path(path).name} does not say what gave them; choose another name"
            )
        if prompt.id in journal:
            journal.check_same(prompt)
            unseen.remove(prompt.id)
        elif all(map(wanted.are_in, prompt.candidates)):
            num_skipped += 1
        else:
            wanted.scorer.check(prompt)
            missing[prompt.id] = len(prompt.candidates)
    if unseen:
        raise ValueError(
            f"{journal.path} has scores of the prompt {min(unseen)!r}, which {path} has not: the "
            f"candidates were changed since; delete {journal.path.name} to score them anew"
        )
    return missing, num_skipped


def _score(
    path: Path,
    missing: dict[str, int],
    wanted: _Wanted,
    journal: ScoreJournal,
    show_progress: bool,
) -> None:
    """Score in windows of prompts, each on the disk before the next one begins."""
    if not missing:
        return
    window: list[PromptCandidates] = []
    size = wanted.scorer.batch_size * WINDOW_BATCHES
    total, desc = sum(missing.values()), f"scoring {wanted.name}"
    with tqdm(total=total, desc=desc, unit="candidate", disable=not show_progress) as progress:
        for prompt in iterate_candidates(path):
            if prompt.id not in missing:
                continue
            window.append(prompt)
            del missing[prompt.id]
            num_candidates = sum(len(member.candidates) for member in window)
            if num_candidates < size and missing:
                continue
            rows = wanted.scorer.score(window)
            if not wanted.has_token_scores:
                rows = [row._replace(token_scores=[None] * len(row.scores)) for row in rows]
            journal.append(window, rows)
            progress.update(num_candidates)
            window = []


def _merge(path: Path, wanted: _Wanted, journal: ScoreJournal) -> tuple[int, int]:
    """Replace the file; how many candidates the journal has, and how many have no score."""
    num_candidates = num_without = 0

    def with_scores(prompt: PromptCandidates) -> PromptCandidates:
        nonlocal num_candidates, num_without
        candidates = []
        for candidate, score, tokens in zip(prompt.candidates, *journal.read(prompt), strict=True):
            scores = dict(candidate.scores)
            if math.isfinite(score):
                scores.setdefault(wanted.name, score)  # what collect has stored stays
            tokens = candidate.token_scores or tokens
            candidates.append(replace(candidate, scores=scores, token_scores=tokens))
            num_without += wanted.name not in scores
        num_candidates += len(candidates)
        return replace(prompt, candidates=candidates)

    prompts = iterate_candidates(path)
    replace_candidates(path, (with_scores(p) if p.id in journal else p for p in prompts))
    return num_candidates, num_without
