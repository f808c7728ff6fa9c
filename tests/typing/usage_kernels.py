"""Lines of users of `swift_kernels`, for the type checker: an error that is gone is one too."""

from torch import Tensor
from typing_extensions import assert_type

from swift_kernels import (
    CandidateScores,
    RewardHead,
    RunningScore,
    score_candidates,
    score_packed,
    select_best,
)


def scores(states: tuple[Tensor, ...], head: RewardHead, mask: Tensor, flag: bool) -> None:
    assert_type(score_candidates(states, head), Tensor)
    assert_type(score_candidates(states, head, mask, return_token_scores=False), Tensor)
    assert_type(score_candidates(states, head, return_token_scores=True), CandidateScores)
    assert_type(score_candidates(states, head, return_token_scores=flag), Tensor | CandidateScores)
    assert_type(select_best(score_candidates(states, head, backend="torch"), 4), Tensor)
    select_best(score_candidates(states, head, return_token_scores=True), 4)  # type: ignore[arg-type]  # not of one number each
    score_candidates(states, head, backend="cuda")  # type: ignore[call-overload]  # no backend


def packed(states: Tensor, head: RewardHead, cu_seqlens: Tensor, flag: bool) -> None:
    assert_type(score_packed(states, head, cu_seqlens), Tensor)
    assert_type(score_packed(states, head, cu_seqlens, return_token_scores=True), CandidateScores)
    assert_type(
        score_packed(states, head, cu_seqlens, return_token_scores=flag), Tensor | CandidateScores
    )
    score_packed(states, head)  # type: ignore[call-overload]  # without cu_seqlens


def running(states: list[Tensor], head: RewardHead, active: Tensor) -> None:
    score = RunningScore(head, 4, backend="auto")
    score.update(states, active)
    assert_type(score.scores(), Tensor)
    score.update(states)  # type: ignore[call-arg]  # without active


def heads(tensors: dict[str, Tensor]) -> None:
    head = RewardHead.from_tensors(tensors, num_layers=3, hidden_size=4, gated=False)
    assert_type(head, RewardHead)
    assert_type(RewardHead.from_pretrained("head", device="cuda"), RewardHead)
    assert_type([weight.shape[1] for weight in head.weights], list[int])
    RewardHead(3, 4, gate=False)  # type: ignore[call-arg]  # gated
