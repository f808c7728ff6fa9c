"""Does the pick beat the alternatives? Every way to pick one of k, with intervals and tests."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from swift_bon.candidate_files import header_path, iterate_candidates, read_header
from swift_bon.candidate_table import CandidateTable, tabulate
from swift_bon.candidates import PromptCandidates
from swift_bon.evaluation_record import RESERVED, make_record
from swift_bon.groups import groups_of
from swift_bon.methods import FREE_SCORES, HEAD, family
from swift_bon.picking import Picks, pick_with_all_methods
from swift_bon.statistics.resampling import NUM_DRAWS
from swift_kernels.checks import check_count


def evaluate(
    path: str | Path,
    *,
    combine: Sequence[tuple[str, str]] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy of each way to pick one of k, for every k, with paired intervals over prompts.

    Args:
        path: candidates with scores, as `collect --head` and `score` write them.
        combine: pairs of scores to combine by rank, by scaling and by a fitted blend; None: SWIFT's
            with the mean log-probability and with each external reward.
        reference: the method that the others are compared with; None: SWIFT's pick, else the most
            likely sample.
        num_draws: of the bootstrap, which draws groups of prompts that ask for one thing.
        seed: of all that is drawn.

    Returns:
        a dict; `evaluation_record.py` says what is in it.

    Raises:
        FileNotFoundError, ValueError: no such file, a damaged line, or no such score.
    """
    return evaluate_file(path, combine, reference, num_draws, seed)[0]


def evaluate_file(
    path: str | Path,
    combine: Sequence[tuple[str, str]] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """`evaluate`, and which candidate of each prompt each method picks, for the report."""
    table = tabulate(iterate_candidates(path))
    header = read_header(Path(path)) if header_path(Path(path)).is_file() else None
    groups = groups_of(table.prompts, "" if header is None else header["task"])
    return _evaluate(table, groups, header, combine, reference, num_draws, seed)


def evaluate_candidates(
    prompts: Iterable[PromptCandidates],
    *,
    combine: Sequence[tuple[str, str]] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """`evaluate` for candidates in memory; each prompt is a group of its own."""
    table = tabulate(prompts)
    groups = [prompt.id for prompt in table.prompts]
    return _evaluate(table, groups, None, combine, reference, num_draws, seed)[0]


def _evaluate(
    table: CandidateTable,
    groups: Sequence[str],
    header: dict[str, Any] | None,
    combine: Sequence[tuple[str, str]] | None,
    reference: str | None,
    num_draws: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, list[int]]]:
    check_count(num_draws, "num_draws")
    _check_names(table)
    pairs = default_pairs(table.scores) if combine is None else _check_pairs(combine, table)
    picks = pick_with_all_methods(table, groups, pairs, seed)
    reference = _choose_reference(reference, picks)
    record = make_record(table, picks, groups, reference, num_draws, seed)
    record["candidates"] = header
    return record, {name: found.indices for name, found in picks.items()}


def default_pairs(scores: Iterable[str]) -> list[tuple[str, str]]:
    """SWIFT's score, or without it the mean log-probability, with what it can be combined with."""
    names = list(scores)
    rewards = [name for name in names if family(name) == "reward"]
    if HEAD in names:
        partners = [name for name in ("mean_logprob",) if name in names]
        return [(HEAD, partner) for partner in partners + rewards]
    return [("mean_logprob", reward) for reward in rewards if "mean_logprob" in names]


def _check_names(table: CandidateTable) -> None:
    """No score of the user's stands in the place of another part of the record."""
    for name in table.scores.keys() & RESERVED:
        raise ValueError(
            f"the candidates have a score named {name!r}, which means something else in an "
            "evaluation; give it another name in the file"
        )


def _check_pairs(pairs: Sequence[tuple[str, str]], table: CandidateTable) -> list[tuple[str, str]]:
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= table.scores.keys():
            raise ValueError(
                f"combine has {'+'.join(pair)!r}, expected two different scores of the candidates: "
                f"{', '.join(table.scores) or 'they have none'}"
            )
    return list(pairs)


def _choose_reference(reference: str | None, picks: dict[str, Picks]) -> str:
    if reference is None:
        return next(name for name in (HEAD, FREE_SCORES[0], *picks) if name in picks)
    if reference not in picks:
        raise ValueError(f"reference is {reference!r}, expected one of {', '.join(picks)}")
    return reference
