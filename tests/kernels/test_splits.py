"""Work that is split finely: many programs share a tile, and many tiles a candidate."""

import pytest
import torch

from reference_gradients import assert_gradients_accurate, exact_head_gradients, head_gradients
from reference_inputs import (
    DEVICE,
    MASKS,
    assert_accurate,
    cumulative_lengths,
    each_candidate,
    eager_scores,
    exact_scores,
    fill_padding,
    random_head,
    random_layers,
)
from swift_kernels import RunningScore, launch, score_candidates, score_packed

SPLITS = {  # multiprocessors, L, H: splits of the 2 tiles, steps of each
    "one_step_each": (50, 4, 577, (40, 1)),  # a layer has 10 steps; 32 splits are summed at a time
    "over_a_layer": (1, 3, 300, (8, 2)),  # 5 steps in a layer, 15 in all
    "shorter_last": (3, 13, 300, (33, 2)),  # 65 steps
    "more_than_a_layer": (1, 13, 600, (12, 11)),  # 10 steps in a layer, 130 in all
}


@pytest.fixture(params=SPLITS)
def split(request, many_splits):
    """Layers and hidden size of a case, split in its way."""
    num_sms, num_layers, hidden_size, expected = SPLITS[request.param]
    many_splits(num_sms)
    sizes = launch.score_launch(2, 19, num_layers, hidden_size, itemsize=4, num_sms=num_sms)
    assert sizes.num_tiles == 2
    assert (sizes.num_splits, sizes.steps_per_split) == expected
    return num_layers, hidden_size


def exact_and_eager(*inputs):
    with torch.no_grad():
        return exact_scores(*inputs), eager_scores(*inputs)


@pytest.mark.parametrize("mask, gated", [("left_padding", True), ("empty_row", False)])
def test_scores(split, mask, gated, workspaces):
    num_layers, hidden_size = split
    head = random_head(num_layers, hidden_size, gated=gated).requires_grad_(False)
    layers = random_layers((num_layers, 2, 19, hidden_size))
    mask = MASKS[mask](2, 19)
    actual = score_candidates(fill_padding(layers, mask), head, mask, backend="triton")
    assert_accurate(actual, *exact_and_eager(layers, head, mask))
    assert len(workspaces) == 1


def test_packed(split, workspaces):
    num_layers, hidden_size = split
    head = random_head(num_layers, hidden_size).requires_grad_(False)
    layers = random_layers((num_layers, 38, hidden_size))
    cu_seqlens = cumulative_lengths([19, 19])
    actual = score_packed(layers, head, cu_seqlens, backend="triton")
    limits = (each_candidate(f, layers, head, cu_seqlens) for f in (exact_scores, eager_scores))
    assert_accurate(actual, *limits)
    assert len(workspaces) == 1


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_steps(split, gated, workspaces):
    num_layers, hidden_size = split
    head = random_head(num_layers, hidden_size, gated=gated).requires_grad_(False)
    layers = random_layers((num_layers, 35, 2, hidden_size))  # two tiles
    mask = (torch.arange(70, device=DEVICE) % 3 > 0).view(35, 2)
    mask[32:, 1] = False  # no candidate of the second tile is active
    score = RunningScore(head, 35, backend="triton")
    dirty = fill_padding(layers, mask)
    for token in range(2):
        score.update([layer[:, token : token + 1] for layer in dirty], mask[:, token])
    assert_accurate(score.scores(), *exact_and_eager(layers, head, mask))
    assert len(workspaces) == 1  # of its own, for all steps


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
@pytest.mark.parametrize("num_sms, num_splits", [(1, 3), (50, 5)])
def test_gradients(num_sms, num_splits, gated, many_splits):
    many_splits(num_sms)
    sizes = launch.gradient_launch(3 * 91, 2, 300, itemsize=4, num_sms=num_sms)
    assert (sizes.num_chunks, sizes.num_splits) == (5, num_splits)  # 5 steps: the last is shorter
    head = random_head(2, 300, gated=gated)
    layers = random_layers((2, 3, 91, 300))
    mask = MASKS["left_padding"](3, 91)
    dirty = fill_padding(layers, mask)
    actual = head_gradients(score_candidates(dirty, head, mask, backend="triton"), head)
    exact = exact_head_gradients(head, lambda double: exact_scores(layers, double, mask))
    eager = head_gradients(eager_scores(layers, head, mask), head)
    assert_gradients_accurate(actual, exact, eager)


@pytest.mark.parametrize("lengths", [(64, 64), (65, 128), (2049, 1)], ids=str)
def test_many_tiles_of_a_candidate(lengths, workspaces):
    """Of 64 tokens each; the last program sums 32 of them at a time."""
    head = random_head(1, 5).requires_grad_(False)
    padded = random_layers((1, 2, max(lengths), 5))
    mask = torch.arange(max(lengths), device=DEVICE) < torch.tensor(lengths, device=DEVICE)[:, None]
    actual = score_candidates(fill_padding(padded, mask), head, mask, backend="triton")
    limits = exact_and_eager(padded, head, mask)
    assert_accurate(actual, *limits)
    packed = [layer[mask] for layer in padded]
    actual = score_packed(packed, head, cumulative_lengths(lengths), backend="triton")
    assert_accurate(actual, *limits)
    assert len(workspaces) == 2


def test_a_candidate_of_which_only_the_last_tile_counts(workspaces):
    head = random_head(1, 5).requires_grad_(False)
    layers = random_layers((1, 2, 2100, 5))
    mask = torch.zeros(2, 2100, dtype=torch.bool, device=DEVICE)
    mask[0, 2099] = mask[1, 100] = True
    actual = score_candidates(fill_padding(layers, mask), head, mask, backend="triton")
    assert_accurate(actual, *exact_and_eager(layers, head, mask))
