"""The fitted blend: its minimum, its folds, and what it does without data."""

import pytest
import torch

from swift_bon.seeds import split_rank
from swift_bon.statistics import blend
from swift_bon.statistics.blend import cross_validated_blend, fit_blend

NAN = float("nan")


def planted(num_prompts: int = 200, num_candidates: int = 6, seed: int = 0):
    """Scores of which the first says twice as much as the second and the third nothing."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(num_prompts, num_candidates, 3, generator=generator).double()
    noise = torch.rand(num_prompts, num_candidates, generator=generator).logit().double()
    difficulty = torch.randn(num_prompts, 1, generator=generator).double() * 3
    correct = 2 * features[..., 0] + features[..., 1] + noise + difficulty > 0
    return features, correct


def test_planted_weights_are_found():
    features, correct = planted(2000)
    weights, _ = fit_blend(features, correct)
    assert weights[0] / weights[1] == pytest.approx(2.0, rel=0.15)
    assert abs(weights[2] / weights[1]) < 0.15


def test_minimum_is_that_of_the_loss():
    """Against gradient descent by autograd, on all pairs written out."""
    features, correct = planted(40)
    weights, mean = fit_blend(features, correct)
    scale = features.reshape(-1, 3).std(dim=0, correction=0)
    torch.testing.assert_close(mean, features.reshape(-1, 3).mean(dim=0))

    def loss(w):
        terms = []
        for row, right in zip(features / scale, correct, strict=True):
            pairs = (row[right][:, None] - row[~right][None]).reshape(-1, 3)
            if len(pairs):
                terms.append(torch.nn.functional.softplus(-pairs @ w).mean())
        return torch.stack(terms).mean() + 1e-3 / 2 * w.square().sum()

    actual = (weights * scale).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(actual), actual)
    assert gradient.abs().max() < 1e-8


def test_scale_and_shift_of_a_score_do_not_matter():
    features, correct = planted()
    groups = [str(number) for number in range(len(correct))]
    plain = cross_validated_blend(features, correct, groups)
    moved = cross_validated_blend(features * torch.tensor([1e3, 1.0, 1e-3]) + 7, correct, groups)
    torch.testing.assert_close(moved, plain, rtol=1e-6, atol=1e-6)


def test_no_prompt_is_scored_by_weights_fitted_to_its_group():
    """Turning over the labels of a group changes the blend of others, never its own."""
    features, correct = planted(60)
    groups = [str(number // 3) for number in range(60)]
    folds = [int(split_rank(group) * 5) for group in groups]
    assert len(set(folds)) == 5
    before = cross_validated_blend(features, correct, groups)
    for row in (0, 30):
        changed = correct.clone()
        same_fold = torch.tensor([fold == folds[row] for fold in folds])
        changed[same_fold] = ~changed[same_fold]
        after = cross_validated_blend(features, changed, groups)
        assert torch.equal(after[same_fold], before[same_fold])
        assert not torch.isclose(after[~same_fold], before[~same_fold]).all()


def test_a_candidate_that_misses_a_score_has_no_blend():
    features, correct = planted(50)
    features[3, 2, 1] = NAN
    groups = [str(number) for number in range(50)]
    blended = cross_validated_blend(features, correct, groups)
    assert blended.isnan().nonzero().tolist() == [[3, 2]]


@pytest.mark.parametrize("correct", [True, False])
def test_without_pairs_the_weights_are_equal(correct):
    features, _ = planted(10)
    labels = torch.full(features.shape[:2], correct)
    blended = cross_validated_blend(features, labels, [str(n) for n in range(10)])
    assert blended.isfinite().all()
    weights, _ = fit_blend(features, labels)
    scale = features.reshape(-1, 3).std(dim=0, correction=0)
    torch.testing.assert_close(weights * scale, torch.ones(3).double())


def test_one_prompt_alone_and_constant_scores():
    features = torch.tensor([[[1.0, 5.0], [2.0, 5.0]]])
    blended = cross_validated_blend(features, torch.tensor([[False, True]]), ["a"])
    assert blended.isfinite().all()  # its own fold is left out, so nothing is known
    weights, _ = fit_blend(features, torch.tensor([[False, True]]))
    assert weights[0] > 0
    assert weights[1] == 0


def test_scores_that_separate_all_pairs_keep_finite_weights():
    features = torch.tensor([[[1.0], [0.0]]]).expand(20, 2, 1)
    weights, _ = fit_blend(features, torch.tensor([[True, False]]).expand(20, 2))
    assert 1 < weights[0] < 1000


def test_many_pairs_are_thinned_at_random(monkeypatch):
    """Of 64 x 64 pairs 2,048 of all right and of all wrong ones, and nearly the same weights."""
    right, wrong = torch.arange(64.0)[:, None], torch.arange(64.0)[:, None] / 100
    pairs = blend._pairs(right, wrong).squeeze(1)
    assert len(pairs) == blend.MAX_PAIRS
    assert len(pairs.unique()) == blend.MAX_PAIRS
    assert len(pairs.ceil().unique()) == 64  # the right ones
    assert len((pairs.ceil() - pairs).mul(100).round().unique()) == 64  # the wrong ones
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 200, 2, generator=generator).double()
    correct = (features[..., 0] + torch.randn(3, 200, generator=generator)) > 0
    thinned, _ = fit_blend(features, correct)
    monkeypatch.setattr(blend, "MAX_PAIRS", 10**6)
    whole, _ = fit_blend(features, correct)
    assert torch.allclose(thinned, whole, rtol=0.1, atol=0.05)


def test_steps_that_overshoot_are_halved():
    """Far scales: whole Newton steps from zero would diverge."""
    pairs = torch.tensor([[30.0], [-1.0], [0.01]], dtype=torch.float64)
    share = torch.tensor([1e-3, 1e-3, 0.998], dtype=torch.float64)
    weights = blend._minimise(pairs, share).requires_grad_()
    loss = (
        share @ torch.nn.functional.softplus(-pairs @ weights) + 1e-3 / 2 * weights.square().sum()
    )
    (gradient,) = torch.autograd.grad(loss, weights)
    assert gradient.abs().max() < 1e-8


def test_five_folds():
    features, correct = planted(100)
    groups = [str(number) for number in range(100)]
    changed = correct.clone()
    changed[0] = ~changed[0]
    before, after = (cross_validated_blend(features, c, groups) for c in (correct, changed))
    untouched = (before == after).all(dim=1)
    same_fold = torch.tensor(
        [int(split_rank(group) * 5) == int(split_rank("0") * 5) for group in groups]
    )
    assert torch.equal(untouched, same_fold)
