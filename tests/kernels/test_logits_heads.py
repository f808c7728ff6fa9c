"""A head on logits is made, saved and loaded; hidden states are not scored with it."""

import pytest
import torch

from reference_inputs import (
    BACKENDS,
    DEVICE,
    assert_same_head,
    cumulative_lengths,
    random_head,
    random_layers,
)
from swift_kernels import RewardHead, RunningScore, score_candidates, score_packed


@pytest.fixture
def head():
    return random_head(2, 24, feature="logits")


def test_is_saved_and_loaded(head, tmp_path):
    head = head.cpu()
    head.save_pretrained(tmp_path / "head")
    assert_same_head(RewardHead.from_pretrained(tmp_path / "head"), head)


SCORED = {
    "padded": lambda head, backend: score_candidates(
        random_layers((2, 3, 7, 24)), head, backend=backend
    ),
    "called": lambda head, backend: head(random_layers((2, 3, 7, 24)), backend=backend),
    "packed": lambda head, backend: score_packed(
        random_layers((2, 7, 24)), head, cumulative_lengths([3, 4]), backend=backend
    ),
    "running": lambda head, backend: RunningScore(head, 3, backend=backend),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", SCORED)
def test_is_refused_wherever_states_are_scored(way, backend, head):
    with pytest.raises(ValueError, match="^head reads logits, .* feature='hidden_states'"):
        SCORED[way](head, backend)


def test_a_head_that_changes_its_mind_adds_nothing(head):
    head.feature = "hidden_states"
    running, active = RunningScore(head, 3), torch.ones(3, dtype=torch.bool, device=DEVICE)
    head.feature = "logits"
    with pytest.raises(ValueError, match="^head reads logits"):
        running.update(random_layers((2, 3, 1, 24)), active)
    assert not running.has_tokens.any()
