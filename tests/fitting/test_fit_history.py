"""Best epoch, patience, and which of several heads is chosen, from scripted metrics."""

import math

import pytest
import torch

from fit_cases import PlantedSource, begin_fit
from swift_bon.fitting import head_fitting
from swift_bon.fitting.history import Fit, choose_fit
from swift_bon.fitting.options import FitOptions

NAN, INF = math.nan, math.inf


def play(losses, *, best_of_n=None, **options) -> Fit:
    fit = Fit(0.1, 0)
    picks = best_of_n or [0.5] * len(losses)
    for loss, pick in zip(losses, picks, strict=True):
        fit.add({"loss": loss, "best_of_n": pick}, FitOptions(**options))
    return fit


@pytest.mark.parametrize(
    ("losses", "epoch", "is_stopped"),
    [
        ([0.9], 0, False),
        ([0.9, 0.8, 0.7], 2, False),
        ([0.9, 0.2, 0.5, 0.6], 1, False),
        ([0.9, 0.2, 0.5, 0.6, 0.7], 1, True),
        ([0.9, 0.2, 0.5, 0.6, 0.7, 0.1], 1, True),  # too late
        ([0.9, 0.2, 0.5, 0.6, 0.1, 0.3], 4, False),
        ([0.5, 0.5, 0.5], 0, False),  # as good is not better
        ([NAN, 0.1], -1, True),
        ([0.9, INF, 0.1], 0, True),
        ([0.9, NAN, 0.1], 0, True),
    ],
)
def test_epochs_by_loss(losses, epoch, is_stopped):
    fit = play(losses, patience=3)
    assert (fit.epoch, fit.is_stopped, len(fit.history)) == (epoch, is_stopped, len(losses))
    if epoch >= 0:
        assert fit.best()["loss"] == losses[epoch]


def test_epochs_by_best_of_n():
    losses, picks = [0.9, 0.2, 0.5, 0.6, 0.4], [0.3, 0.4, 0.5, 0.5, 0.5]
    assert play(losses, best_of_n=picks, select_by="best_of_n").epoch == 4  # loss between equals
    assert play(losses, best_of_n=picks, select_by="loss").epoch == 1
    assert play([0.1, 0.2], best_of_n=[0.5, 0.4], select_by="best_of_n").epoch == 0
    assert play([NAN, 0.2], best_of_n=[0.9, 0.4], select_by="best_of_n").epoch == -1


def test_choice_among_fits():
    fits = [
        play([NAN]),
        play([0.5], best_of_n=[0.9]),
        play([0.4, 0.9], best_of_n=[0.2, 0.9]),
        play([0.45], best_of_n=[0.9]),
    ]
    assert choose_fit(fits, FitOptions()) == 2
    assert choose_fit(fits, FitOptions(select_by="best_of_n")) == 3
    assert choose_fit([fits[1], fits[1]], FitOptions()) == 0


def scripted_fit(monkeypatch, losses: list[list[float]], **options):
    """Run with these validation losses, heads by epochs: the fit and what `folded` was then."""
    fit = begin_fit(
        PlantedSource(24), seeds=tuple(range(len(losses))), epochs=len(losses[0]), **options
    )
    validate = head_fitting.HeadFitting._validate
    seen = []

    def scripted(self):
        epoch = len(seen)
        seen.append([tensor.detach().clone() for tensor in self.stack.folded()])
        rows = zip(validate(self), losses, strict=True)
        return [{**metrics, "loss": script[epoch]} for metrics, script in rows]

    monkeypatch.setattr(head_fitting.HeadFitting, "_validate", scripted)
    while not fit.is_done:
        fit.run_epoch()
    return fit, seen


def test_best_epoch_of_each_head_comes_back(monkeypatch):
    losses = [[0.9, 0.2, 0.5, 0.6, 0.7, 0.1], [0.9, 0.8, 0.7, NAN, 0.1, 0.1]]
    fit, seen = scripted_fit(monkeypatch, losses, patience=3)
    assert [one.epoch for one in fit.fits] == [1, 2]
    assert len(fit.fits[0].history) == 5  # three epochs without a better one end it
    for index, head in enumerate(fit.heads()):
        weight, bias = seen[fit.fits[index].epoch]
        assert torch.equal(head.reward_weight.flatten(), weight[index, 0].flatten())
        assert torch.equal(head.gate_weight.flatten(), weight[index, 1].flatten())
        assert torch.equal(head.reward_bias, bias[index, 0])
        assert torch.equal(head.gate_bias, bias[index, 1])
        assert not torch.equal(seen[-1][0][index], weight[index])


def test_head_that_goes_on_keeps_the_fit_going(monkeypatch):
    losses = [[0.1, 0.2, 0.3, 0.4, 0.5], [0.9, 0.8, 0.7, 0.6, 0.5]]
    fit, seen = scripted_fit(monkeypatch, losses, patience=2)
    assert len(seen) == 5
    assert [one.epoch for one in fit.fits] == [0, 4]
    assert [one.is_stopped for one in fit.fits] == [True, False]
    assert choose_fit(fit.fits, fit.options) == 0


def test_epochs_are_the_limit(monkeypatch):
    fit, seen = scripted_fit(monkeypatch, [[0.5, 0.4, 0.3]])
    assert (len(seen), fit.num_epochs_done, fit.is_done) == (3, 3, True)
    assert not fit.fits[0].is_stopped


def test_metrics_are_over_all_validation_prompts():
    """AUROC pooled over candidates, picks over prompts, the way it is done by hand."""
    source = PlantedSource(40)
    fit = begin_fit(source, loss="bce")
    metrics = fit._validate()[0]
    fit.best = [tensor.detach() for tensor in fit.stack.folded()]
    head = fit.heads()[0].double().requires_grad_(False)
    pairs, picks, randoms, losses = [], [], [], []
    for position in range(0, 40, 4):
        candidates = zip(source.candidates(position), source.correct[position], strict=True)
        scored = []
        for states, correct in candidates:
            if len(states):
                layers = states.double().unflatten(1, (3, 4))
                rewards = (layers * head.reward_weight).sum((1, 2)) + head.reward_bias
                gates = torch.sigmoid((layers * head.gate_weight).sum((1, 2)) + head.gate_bias)
                scored.append((float((gates * rewards).sum() / gates.sum()), bool(correct)))
        if scored:
            picks.append(max(scored)[1])
            randoms.append(sum(correct for _, correct in scored) / len(scored))
            pairs += scored
            losses += [math.log1p(math.exp(-s if correct else s)) for s, correct in scored]
    right = [s for s, correct in pairs if correct]
    wrong = [s for s, correct in pairs if not correct]
    above = sum(r > w for r in right for w in wrong) / (len(right) * len(wrong))
    assert metrics["auroc"] == pytest.approx(above, abs=1e-9)
    assert metrics["best_of_n"] == pytest.approx(sum(picks) / len(picks))
    assert metrics["random"] == pytest.approx(sum(randoms) / len(randoms))
    assert metrics["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
