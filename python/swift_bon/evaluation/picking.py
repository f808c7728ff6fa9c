"""What each method picks: its accuracy for every k, and its candidate among all of a prompt."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from swift_bon.candidates.score_names import (
    FREE_SCORES,
    LOWER_IS_BETTER,
    MAJORITY,
    SWIFT_SCORE,
    VOTE_SUFFIX,
    check_score_names,
    combination_label,
    combination_name,
    label,
    score_family,
    vote_label,
)
from swift_bon.evaluation.candidate_table import CandidateTable
from swift_bon.statistics.best_of_k import best_of_k_accuracy, pass_at_k
from swift_bon.statistics.blend import cross_validated_blend
from swift_bon.statistics.combination import combine_by_rank, combine_by_scaling
from swift_bon.statistics.subsets import Subsets, make_subsets, pick_in_subsets
from swift_bon.statistics.votes import NO_ANSWER, vote_accuracy
from swift_kernels import selection

NO_PICK = -1  # as `selection.first_best` says it


class Picks(NamedTuple):
    """A method on every prompt."""

    accuracy: Tensor  # [P, N] float64, k = 1 to N; beyond a prompt's candidates that of all
    indices: list[int]  # [P]: its pick among all, the first of tied ones, or NO_PICK
    scores: Tensor | None  # [P, N] float64, higher is better: where it is a score of its own


class Method(NamedTuple):
    """A way to pick, what it is called in words, and what kind it is."""

    label: str
    family: str  # "bound", "free", "head", "reward", "vote" or "combination"
    picks: Picks


def oriented_scores(table: CandidateTable) -> dict[str, Tensor]:
    """`table.scores` turned so that higher is better, in the order of tables."""
    known = [*FREE_SCORES, SWIFT_SCORE]
    names = [name for name in known if name in table.scores]
    names += [name for name in table.scores if name not in known]
    columns = {name: table.scores[name] for name in names}
    return {n: -column if n in LOWER_IS_BETTER else column for n, column in columns.items()}


def pick_random(table: CandidateTable) -> Picks:
    scores = torch.full(table.correct.shape, float("nan"), dtype=torch.float32, device="cpu")
    accuracy = best_of_k_accuracy(scores, table.correct, table.present)
    return Picks(accuracy, [NO_PICK] * table.num_prompts, None)


def pick_oracle(table: CandidateTable) -> Picks:
    is_right = torch.where(table.correct, 1.0, float("nan"))
    return Picks(pass_at_k(table.correct, table.present), first_best(is_right), None)


def pick_by_score(table: CandidateTable, scores: Tensor) -> Picks:
    """Args: scores: `[P, N]`, higher is better, NaN where a candidate has none."""
    accuracy = best_of_k_accuracy(scores, table.correct, table.present)
    return Picks(accuracy, first_best(scores), scores)


def pick_by_blend(
    table: CandidateTable, first: Tensor, second: Tensor, groups: Sequence[str]
) -> Picks:
    """By a linear blend of two scores, fitted to the prompts of other folds."""
    features = torch.stack([first, second], dim=-1)
    return pick_by_score(table, cross_validated_blend(features, table.correct, groups))


def pick_by_vote(table: CandidateTable, weights: Tensor, seed: int = 0) -> Picks:
    """Args: weights: `[P, N]` of the votes, at least 0."""

    def pick(row: int, count: int, subsets: Subsets) -> tuple[Tensor, int]:
        answers, correct = table.answers[row, :count], table.correct[row, :count]
        return vote_accuracy(answers, weights[row, :count], correct, subsets)

    return _pick_each(table, pick, seed)


def pick_by_combination(
    table: CandidateTable,
    first: Tensor,
    second: Tensor,
    combine: Callable[[Tensor, Tensor, Tensor], Tensor],
    seed: int = 0,
) -> Picks:
    """Args: first, second: `[P, N]`; combine: `combine_by_rank` or `combine_by_scaling`."""

    def pick(row: int, count: int, subsets: Subsets) -> tuple[Tensor, int]:
        pair = first[row, :count], second[row, :count]
        combined = combine(*pair, subsets.masks)
        accuracy = pick_in_subsets(combined, table.correct[row, :count], subsets)
        among_all = combine(*pair, torch.ones(count, 1, dtype=torch.float32, device="cpu"))[:, 0]
        return subsets.average(accuracy), first_best(among_all[None])[0]

    return _pick_each(table, pick, seed)


def _pick_each(
    table: CandidateTable, pick: Callable[[int, int, Subsets], tuple[Tensor, int]], seed: int
) -> Picks:
    """One prompt after the other, as subsets of all of them would not fit."""
    accuracy = torch.empty(table.correct.shape, dtype=torch.float64, device="cpu")
    indices = [NO_PICK] * table.num_prompts
    counts = table.num_candidates.tolist()
    for row in sorted(range(len(counts)), key=counts.__getitem__):  # those of one N share subsets
        count = counts[row]
        accuracies, indices[row] = pick(row, count, make_subsets(count, seed))
        accuracy[row, :count] = accuracies
        accuracy[row, count:] = accuracies[-1]
    return Picks(accuracy, indices, None)


def first_best(scores: Tensor) -> list[int]:
    """Of each row of `[P, N]` the first with the highest score, `NO_PICK` where all are missing.

    Missing is NaN or -inf.
    """
    return selection.first_best(scores, scores > float("-inf")).tolist()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Tensors this small are done before threads have met, and on a busy machine they wait long."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


class Way(NamedTuple):
    """A method before it picks."""

    name: str
    label: str
    family: str
    pick: Callable[[], Picks]


@one_thread()
def pick_with_all_methods(
    table: CandidateTable,
    groups: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    seed: int = 0,
    *,
    show_progress: bool = False,
) -> dict[str, Method]:
    """By name, in the order of tables.

    Args:
        groups: of the prompts, for the blend's folds.
        pairs: of scores to combine.
        seed: of the subsets of votes and combinations, where there are too many for all.
        show_progress: a bar on a terminal.

    Raises:
        ValueError: a score is named as another method.
    """
    scores = oriented_scores(table)
    check_score_names(scores)
    ways = list(_ways(table, scores, groups, pairs, seed))
    progress = tqdm(ways, desc="picking", unit="method", disable=None if show_progress else True)
    return {way.name: Method(way.label, way.family, way.pick()) for way in progress}


def _ways(
    table: CandidateTable,
    scores: dict[str, Tensor],
    groups: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    seed: int,
) -> Iterator[Way]:
    yield Way("random", label("random"), "bound", partial(pick_random, table))
    for name, column in scores.items():
        pick = partial(pick_by_score, table, column)
        yield Way(name, label(name), score_family(name), pick)
    if (table.answers != NO_ANSWER).any():
        pick = partial(pick_by_vote, table, table.present.float(), seed)
        yield Way(MAJORITY, label(MAJORITY), "vote", pick)
        for name in (name for name in scores if score_family(name) != "free"):
            pick = partial(pick_by_vote, table, scores[name].sigmoid(), seed)
            yield Way(name + VOTE_SUFFIX, vote_label(name), "vote", pick)
    for first, second in pairs:
        columns = scores[first], scores[second]
        for how, pick in {
            "by rank": partial(pick_by_combination, table, *columns, combine_by_rank, seed),
            "by scaling": partial(pick_by_combination, table, *columns, combine_by_scaling, seed),
            "blended": partial(pick_by_blend, table, *columns, groups),
        }.items():
            name = combination_name(first, second, how)
            yield Way(name, combination_label(first, second, how), "combination", pick)
    yield Way("oracle", label("oracle"), "bound", partial(pick_oracle, table))
