"""Does the pick beat the alternatives? Every way to pick one of k, with intervals and tests."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from swift_bon.candidates.files import header_path, iterate_candidates, read_header
from swift_bon.candidates.groups import groups_of
from swift_bon.candidates.records import PromptCandidates
from swift_bon.candidates.score_names import FREE_SCORES, SWIFT_SCORE, score_family
from swift_bon.evaluation.candidate_table import CandidateTable, tabulate
from swift_bon.evaluation.picking import Method, pick_with_all_methods
from swift_bon.evaluation.record import make_record
from swift_bon.evaluation.record_types import Evaluation
from swift_bon.statistics.resampling import NUM_DRAWS
from swift_kernels.checks import check_count


def evaluate(
    path: str | Path,
    *,
    combine: Sequence[tuple[str, str] | str] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
    show_progress: bool = True,
) -> Evaluation:
    """Accuracy of each way to pick one of k, for every k, with paired intervals over prompts.

    Args:
        path: candidates with scores, as `collect --head` and `score` write them.
        combine: pairs of scores to combine by rank, by scaling and by a fitted blend, or the two
            with a plus between; None: SWIFT's with the mean log-probability and with each external
            reward.
        reference: the method that the others are compared with; None: SWIFT's pick, else the most
            likely sample, else the first score.
        num_draws: of the bootstrap, which draws groups of prompts that ask for one thing.
        seed: of all that is drawn.
        show_progress: bars on a terminal while it reads, picks and draws.

    Returns:
        a dict; the type says what is in it, and `record_types` what each part means.

    Raises:
        FileNotFoundError, ValueError: no such file, a damaged line, or no such score.

    >>> import json, pathlib
    >>> from swift_bon import evaluate
    >>> right = {"text": "5", "token_ids": [0], "correct": True, "scores": {"swift": 0.9}}
    >>> wrong = {"text": "6", "token_ids": [1], "correct": False, "scores": {"swift": 0.1}}
    >>> lines = [{"id": name, "prompt": "2 + 3?", "candidates": [right, wrong]} for name in "abc"]
    >>> _ = pathlib.Path("sums.jsonl").write_text("\\n".join(map(json.dumps, lines)))
    >>> record = evaluate("sums.jsonl", show_progress=False)
    >>> record["swift"], record["random"], record["oracle"]
    (1.0, 0.5, 1.0)
    """
    prompts = read_prompts(path, show_progress=show_progress)
    return evaluate_file(path, prompts, combine, reference, num_draws, seed, show_progress)[0]


def read_prompts(
    path: str | Path, end: int | None = None, *, show_progress: bool = True
) -> Iterable[PromptCandidates]:
    """`iterate_candidates` with a bar."""
    disable = None if show_progress else True
    return tqdm(iterate_candidates(path, end), desc="reading", unit="prompt", disable=disable)


def evaluate_file(
    path: str | Path,
    prompts: Iterable[PromptCandidates],
    combine: Sequence[tuple[str, str] | str] | None,
    reference: str | None,
    num_draws: int,
    seed: int,
    show_progress: bool,
) -> tuple[Evaluation, dict[str, list[int]]]:
    """`evaluate`, and which candidate of each prompt each method picks, for the report.

    Args:
        path: whose header says which prompts ask for one thing.
        prompts: of the file.
    """
    table = tabulate(prompts)
    header = read_header(Path(path)) if header_path(Path(path)).is_file() else None
    groups = groups_of(table.prompts, "" if header is None else header["task"])
    return _evaluate(table, groups, header, combine, reference, num_draws, seed, show_progress)


def evaluate_candidates(
    prompts: Iterable[PromptCandidates],
    *,
    combine: Sequence[tuple[str, str] | str] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
    show_progress: bool = True,
) -> Evaluation:
    """`evaluate` for candidates in memory; each prompt is a group of its own."""
    table = tabulate(prompts)
    groups = [prompt.id for prompt in table.prompts]
    return _evaluate(table, groups, None, combine, reference, num_draws, seed, show_progress)[0]


def _evaluate(
    table: CandidateTable,
    groups: Sequence[str],
    header: dict[str, Any] | None,
    combine: Sequence[tuple[str, str] | str] | None,
    reference: str | None,
    num_draws: int,
    seed: int,
    show_progress: bool,
) -> tuple[Evaluation, dict[str, list[int]]]:
    check_count(num_draws, "num_draws")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}, expected 0 or more, below 2**63")
    pairs = default_pairs(table.scores) if combine is None else _check_pairs(combine, table)
    methods = pick_with_all_methods(table, groups, pairs, seed, show_progress=show_progress)
    chosen = _choose_reference(reference, methods)
    record = make_record(
        table, methods, groups, chosen, num_draws, seed, show_progress=show_progress
    )
    record["candidates"] = header
    return record, {name: method.picks.indices for name, method in methods.items()}


def default_pairs(scores: Iterable[str]) -> list[tuple[str, str]]:
    """SWIFT's score, or without it the mean log-probability, with what it can be combined with."""
    names = list(scores)
    rewards = [name for name in names if score_family(name) == "reward"]
    if SWIFT_SCORE in names:
        partners = [name for name in ("mean_logprob",) if name in names]
        return [(SWIFT_SCORE, partner) for partner in partners + rewards]
    return [("mean_logprob", reward) for reward in rewards if "mean_logprob" in names]


def _check_pairs(
    pairs: Sequence[tuple[str, str] | str], table: CandidateTable
) -> list[tuple[str, str]]:
    """Each once, in whatever order its two scores are named."""
    pair_of: dict[frozenset[str], tuple[str, str]] = {}
    for pair in pairs:
        names = _split_pair(pair, table.scores.keys()) if isinstance(pair, str) else tuple(pair)
        if len(names) != 2 or names[0] == names[1] or not set(names) <= table.scores.keys():
            raise ValueError(
                f"combine has {'+'.join(names)!r}, expected two different scores of the "
                f"candidates, as in A+B: {', '.join(table.scores) or 'they have none'}"
            )
        pair_of.setdefault(frozenset(names), (names[0], names[1]))
    return list(pair_of.values())


def _split_pair(text: str, names: Collection[str]) -> tuple[str, ...]:
    """ "A+B" at the plus that has a score on both sides: names may have a plus of their own."""
    places = [place for place, character in enumerate(text) if character == "+"]
    for place in places:
        if text[:place] in names and text[place + 1 :] in names:
            return text[:place], text[place + 1 :]
    return (text,)


def _choose_reference(reference: str | None, methods: dict[str, Method]) -> str:
    if reference is not None and reference not in methods:
        raise ValueError(f"reference is {reference!r}, expected one of {', '.join(methods)}")
    scores = [name for name, method in methods.items() if method.picks.scores is not None]
    wanted = (reference, SWIFT_SCORE, FREE_SCORES[0], *scores, *methods)
    return next(name for name in wanted if name in methods)
