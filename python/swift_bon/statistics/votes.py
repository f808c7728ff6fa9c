"""Majority vote over the answers of candidates, plain or weighted."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_bon.statistics.subsets import Subsets, random_in_subsets

NO_ANSWER = -1
TIE = 1e-12  # relative: the same weights summed in another order


def number_answers(answers: Sequence[str | None]) -> Tensor:
    """Equal answers get equal numbers, int64 `[N]`; None is `NO_ANSWER`."""
    numbers: dict[str, int] = {}
    return torch.tensor(
        [
            NO_ANSWER if answer is None else numbers.setdefault(answer, len(numbers))
            for answer in answers
        ],
        dtype=torch.int64,
        device="cpu",
    )


def vote_accuracy(
    answers: Tensor, weights: Tensor, correct: Tensor, subsets: Subsets
) -> tuple[Tensor, int]:
    """Accuracy of the answer with the most votes among k candidates of one prompt.

    Args:
        answers: `[N]` numbers, `NO_ANSWER` for a candidate that gives none and has no vote.
        weights: `[N]`, at least 0; 1 for a plain majority vote, NaN is no vote.
        correct: `[N]` bool.
        subsets: of N candidates.

    Returns:
        float64 `[N]`, k = 1 to N; and the candidate that stands for the winner among all N, the
        first of its answer, or -1 where nobody votes.

    Tied answers share the vote. An answer is as right as the share of its candidates that are. A
    subset without votes counts as a random pick.

    >>> import torch
    >>> from swift_bon.statistics import make_subsets, vote_accuracy
    >>> answers, correct = torch.tensor([0, 1, 1]), torch.tensor([False, True, True])
    >>> accuracy, winner = vote_accuracy(answers, torch.ones(3), correct, make_subsets(3))
    >>> accuracy.round(decimals=3).tolist(), winner
    ([0.667, 0.667, 1.0], 1)
    """
    correct = correct.double()
    has_vote = (answers != NO_ANSWER) & (weights > 0)
    if not has_vote.any():
        return correct.mean().expand(len(answers)).clone(), -1
    is_answer = answers[has_vote].unique()[:, None] == answers  # [A, N]
    share = (is_answer.double() @ correct) / is_answer.sum(dim=1)  # [A]
    ballots = torch.where(has_vote, weights.double(), 0) * is_answer
    votes = ballots @ subsets.masks.double()  # [A, S]
    most = votes.amax(dim=0)
    is_winner = (votes >= most * (1 - TIE)).double()
    right, winners = torch.stack([share, torch.ones_like(share)]) @ is_winner
    won = torch.where(most > 0, right / winners, random_in_subsets(correct, subsets))
    total = ballots.sum(dim=1)
    is_winning = is_answer[total >= total.max() * (1 - TIE)].any(dim=0)
    return subsets.average(won), int((is_winning & has_vote).int().argmax())
