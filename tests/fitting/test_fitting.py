"""Fitting against a plain float64 loop on the same batches; several heads; the best epoch."""

import itertools
import math

import pytest
import torch

from fit_cases import PlantedSource, assert_same_heads, begin_fit, run_fit
from swift_bon.features.spec import DEVIATION_FLOOR
from swift_bon.fitting import head_fitting, reading_order
from swift_bon.fitting.head_fitting import SHIFT_INVARIANT
from swift_bon.fitting.losses import LOSSES


def prompt_loss(name: str, s, y, alpha: float):
    """Sum of the terms of one prompt with scores `s` and labels `y`, and their number."""
    sign, log_sigmoid = 2 * y - 1, torch.nn.functional.logsigmoid
    pairs = -log_sigmoid(s[y == 1][:, None] - s[y == 0][None])
    target = (y / alpha).softmax(0)
    if name == "bce":
        return -log_sigmoid(sign * s).sum(), len(s)
    if name == "hinge":
        return (1 - sign * s).clamp(min=0).sum(), len(s)
    if name == "dpo":
        return pairs.sum(), pairs.numel()
    if name == "pairwise":
        return (pairs.mean(), 1) if pairs.numel() else (s.sum() * 0, 0)
    if len(s) < 2:
        return s.sum() * 0, 0
    if name == "infonca":
        return -(target * s.log_softmax(0)).sum(), 1
    return -(target * log_sigmoid(s) + log_sigmoid(-s) / len(s)).sum(), 1


class PlainLoop:
    """The same fit of one head, candidate by candidate over standardised features."""

    def __init__(self, source, options, start, index, layers, dtype):
        self.source, self.options, self.dtype = source, options, dtype
        size = source.spec.hidden_size
        layers = range(source.spec.num_layers) if layers is None else layers
        self.columns = [layer * size + column for layer in layers for column in range(size)]
        everything = torch.cat([pack.states for pack in source._packs])[:, self.columns].double()
        self.mean, deviation = everything.mean(0), everything.std(0, correction=0)
        self.deviation = deviation.clamp(min=DEVIATION_FLOOR)
        if not options.standardize:
            self.mean, self.deviation = self.mean * 0, self.deviation * 0 + 1
        self.mean, self.deviation = self.mean.to(dtype), self.deviation.to(dtype)
        self.weight = start.weights[index].detach().clone().to(dtype).requires_grad_()  # [R, D]
        self.bias = start.biases[index].detach().clone().to(dtype).requires_grad_()  # [R]
        decay = {"params": [self.weight], "weight_decay": options.weight_decay}
        self.optimizer = torch.optim.AdamW([decay, {"params": [self.bias], "weight_decay": 0}])
        self.best_loss = math.inf

    def score(self, states):
        z = (states[:, self.columns].to(self.dtype) - self.mean) / self.deviation
        values = z @ self.weight.T + self.bias  # [tokens, R]
        gate = torch.sigmoid(values[:, 1]) if values.shape[1] == 2 else torch.ones(len(z))
        return (gate * values[:, 0]).sum() / gate.sum().clamp(min=1e-8)

    def loss(self, positions):
        terms = []
        for position in positions:
            candidates = self.source.candidates(position)
            kept = [index for index, states in enumerate(candidates) if len(states)]
            if kept:
                scores = torch.stack([self.score(candidates[index]) for index in kept])
                labels = self.source.correct[position][kept].to(self.dtype)
                terms.append(prompt_loss(self.options.loss, scores, labels, self.options.alpha))
        return sum(value for value, _ in terms) / sum(number for _, number in terms)

    def epoch(self, batches, validation, epoch: int, peak: float) -> None:
        for number, positions in enumerate(batches):
            progress = (epoch + (number + 1) / len(batches)) / self.options.epochs
            warmup = self.options.warmup
            factor = 0.5 + 0.5 * math.cos(math.pi * (progress - warmup) / (1 - warmup))
            if progress < warmup:
                factor = progress / warmup
            elif self.options.schedule == "constant":
                factor = 1
            for group in self.optimizer.param_groups:
                group["lr"] = peak * factor
            self.optimizer.zero_grad()
            self.loss(positions).backward()
            self.optimizer.step()
        loss = float(self.loss(validation).detach())
        if loss < self.best_loss:
            self.best_loss = loss
            weight = self.weight.detach() / self.deviation
            self.best = (weight, self.bias.detach() - weight @ self.mean)


CASES = {
    "bce": {"loss": "bce"},
    "hinge, ungated": {"loss": "hinge", "gated": False},
    "dpo, as it is": {"loss": "dpo", "standardize": False},
    "pairwise, two layers": {"loss": "pairwise", "layers": (0, 2)},
    "infonca, constant": {"loss": "infonca", "schedule": "constant", "alpha": 0.5},
    "nca, long warm-up": {"loss": "nca", "warmup": 0.5, "alpha": 0.5},
    "several heads": {"learning_rates": (0.03, 0.005), "seeds": (2, 0), "weight_decay": 10.0},
    "one layer, ungated": {"layers": (1,), "gated": False, "standardize": False},
    "half precision": {"loss": "pairwise", "dtype": "float16"},
}


@pytest.mark.parametrize("case", CASES)
def test_heads_are_those_of_a_plain_float64_loop(case, monkeypatch):
    changes = dict(CASES[case])
    source = PlantedSource(40, dtype=changes.pop("dtype", "float32"))
    plans = []
    plan = head_fitting.plan_epoch
    monkeypatch.setattr(
        head_fitting, "plan_epoch", lambda *args: plans.append(plan(*args)) or plans[-1]
    )
    actual = begin_fit(source, **changes)
    options, labels = actual.options, source.labels()
    pairs = itertools.product(range(len(options.heads())), (torch.float64, torch.float32))
    loops = {
        (index, dtype): PlainLoop(source, options, actual.stack, index, options.layers, dtype)
        for index, dtype in pairs
    }
    while not actual.is_done:
        actual.run_epoch()
    assert len({str(steps) for steps in plans[::2]}) == options.epochs  # each in its own order
    validation = [position for position, is_out in enumerate(labels.is_validation) if is_out]
    for epoch, steps in enumerate(plans[::2]):  # training, then validation
        batches = [
            [
                position
                for run in step
                for position in source.shards[run.shard].prompts[run.first : run.end]
                if position >= 0 and labels.is_train[position]
            ]
            for step in steps
        ]
        assert len(batches) > 2
        for (index, _), loop in loops.items():
            loop.epoch(batches, validation, epoch, options.heads()[index][0])
    for index, head in enumerate(actual.heads()):
        found = [torch.stack([head.reward_weight.flatten()]), head.reward_bias[None]]
        if head.gated:
            found[0] = torch.cat([found[0], head.gate_weight.view(1, -1)])
            found[1] = torch.cat([found[1], head.gate_bias[None]])
        exact, plain = (loops[index, dtype] for dtype in (torch.float64, torch.float32))
        assert actual.fits[index].best()["loss"] == pytest.approx(exact.best_loss, rel=1e-5)
        scale = max(right.abs().max().item() for right in exact.best)
        for mine, right, other in zip(found, exact.best, plain.best, strict=True):
            if mine.ndim == 1 and options.loss in SHIFT_INVARIANT:  # float32 steps at random
                other = torch.cat([right[:1], other[1:].double()])
            error = (mine.double() - right).abs().max().item()
            plain_error = (other.double() - right).abs().max().item()
            assert plain_error <= 1e-5 * scale, f"{plain_error=:.2e}: the limit is none"
            assert error <= 2 * plain_error + 1e-6 * scale, f"{error=:.2e} {plain_error=:.2e}"


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_stacked_heads_are_those_fitted_alone(gated):
    source = PlantedSource()
    together = run_fit(source, learning_rates=(0.03, 0.003), seeds=(0, 1), gated=gated)
    for index, (rate, seed) in enumerate(together.options.heads()):
        alone = begin_fit(source, learning_rates=(rate,), seeds=(0,), gated=gated)
        other = begin_fit(source, seeds=(seed,), gated=gated).stack.weights[0]
        with torch.no_grad():  # the first seed draws the order, so only the weights differ
            alone.stack.weights[0].copy_(other)
        while not alone.is_done:
            alone.run_epoch()
        assert alone.fits[0].epoch == together.fits[index].epoch
        expected = alone.heads()[0].state_dict()
        for name, value in together.heads()[index].state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)


def test_head_that_diverges_leaves_the_others_alone():
    source = PlantedSource()
    alone = run_fit(source, learning_rates=(0.03,))
    beside = run_fit(source, learning_rates=(1e30, 0.03))
    assert beside.fits[0].epoch == -1 and beside.fits[0].is_stopped
    assert beside.fits[1].epoch == alone.fits[0].epoch
    for name, value in alone.heads()[0].state_dict().items():
        torch.testing.assert_close(beside.heads()[1].state_dict()[name], value)


def test_all_heads_diverge():
    message = r"the validation loss is (nan|inf) in epoch \d; lower the learning rate \(1e\+20\)"
    with pytest.raises(ValueError, match=message):
        run_fit(PlantedSource(), learning_rates=(1e30, 1e20), weight_decay=1e15)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_bias_is_fitted_where_the_loss_depends_on_it(loss):
    scores = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    correct, present = torch.tensor([[True, False, False]] * 2), torch.ones(2, 3) > 0
    totals = [LOSSES[loss].total(scores + shift, correct, present, 0.5) for shift in (0, 0.3)]
    is_invariant = torch.allclose(*totals, rtol=1e-12)
    assert is_invariant == (loss in SHIFT_INVARIANT)
    stack = run_fit(PlantedSource(), loss=loss, alpha=0.5).stack
    assert bool(stack.biases[0][0] == 0) == is_invariant
    assert stack.biases[0][1] != 0


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_finds_the_planted_signal(loss):
    source = PlantedSource(120, signal=4.0)
    best = run_fit(source, loss=loss, epochs=6, alpha=0.2).fits[0].best()
    assert best["auroc"] > 0.75
    assert best["best_of_n"] > best["random"] + 0.15


def test_what_a_window_holds_changes_no_prompt(monkeypatch):
    """Other windows are another order, but validation is over the same prompts."""
    source = PlantedSource()
    one = begin_fit(source)
    monkeypatch.setattr(reading_order, "WINDOW_BYTES", 1)
    other = begin_fit(source)
    for metrics, same in zip(*(fit._validate() for fit in (one, other)), strict=True):
        assert metrics == pytest.approx(same)


@pytest.mark.parametrize("layers", [None, (0, 2)], ids=["all", "two layers"])
def test_what_is_not_wanted_changes_nothing(layers, monkeypatch):
    """It reads as NaN; with clean numbers in its place every bit is the same."""
    dirty, clean = PlantedSource(), PlantedSource()
    monkeypatch.setattr(clean, "read", lambda shard, wanted=None: clean._packs[shard])
    fits = [run_fit(source, layers=layers, loss="pairwise") for source in (dirty, clean)]
    assert_same_heads(*fits)
    assert set(dirty.reads) == set(range(len(dirty.shards)))


def test_same_seed_same_bits_and_other_seeds_differ():
    source = PlantedSource()
    first, again, other = (run_fit(source, seeds=(seed,)) for seed in (0, 0, 1))
    assert_same_heads(first, again)
    assert first.fits[0].history != other.fits[0].history
