"""Fit heads to features: several at once, each with its own best epoch."""

import itertools
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from swift_bon.features.shards import FeatureSource, Moments
from swift_bon.fitting.head_stack import HeadStack, stack_scores
from swift_bon.fitting.history import Fit
from swift_bon.fitting.labels import LabelledPrompts, RunBatch, cut_run, nothing_to_learn
from swift_bon.fitting.losses import LOSSES
from swift_bon.fitting.options import FitOptions
from swift_bon.fitting.reading_order import Reader, Run, plan_epoch
from swift_bon.statistics import auroc, picked_accuracy
from swift_kernels import RewardHead

# Losses of differences of scores: the gradient of the reward's bias is 0 but for rounding, out of
# which AdamW, that divides by its size, would make whole steps.
SHIFT_INVARIANT = ("dpo", "infonca", "pairwise")


def learning_rate_factor(progress: float, schedule: str, warmup: float) -> float:
    """Of the learning rate, at a share of all steps: a linear warm-up, then as the schedule says.

    Args:
        progress: from 0 to 1.
        schedule: "cosine" falls to 0 along half a cosine, "constant" stays.
        warmup: share of the steps.
    """
    if progress < warmup:
        return progress / warmup
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


class HeadFitting:
    """The state of a fit between two epochs, and how to do the next.

    Args:
        source: features of the prompts.
        labels: of the same prompts.
        options: checked.
        device: where the arithmetic is done.
        show_progress: show a bar while the moments are read.
    """

    def __init__(
        self,
        source: FeatureSource,
        labels: LabelledPrompts,
        options: FitOptions,
        device: torch.device | str = "cpu",
        show_progress: bool = False,
    ):
        spec = source.spec
        blocks = spec.blocks_of(options.layers)
        dim = len(blocks) * spec.block_size
        _, weight_decay = options.step_sizes(dim)
        options = options.for_dim(dim)
        self.source, self.labels, self.options = source, labels, options
        self.device = torch.device(device)
        self.fits = [Fit(*head) for head in options.heads()]
        self._blocks = None if len(blocks) == spec.num_blocks else blocks
        self._show_progress = show_progress
        self.moments = moments = self._read_moments()
        if not torch.stack(moments).isfinite().all():
            raise ValueError("the features hold NaN or inf, or no token at all; extract them again")
        if not options.standardize:
            zeros = torch.zeros(spec.dim, dtype=torch.float32, device="cpu")
            moments = Moments(zeros, torch.ones_like(zeros))
        mean, deviation = (value.view(-1, spec.block_size)[blocks] for value in moments)
        self.stack = HeadStack(
            [fit.seed for fit in self.fits],
            *((1, spec.dim) if self._blocks is None else (len(blocks), spec.block_size)),
            gated=options.gated,
            mean=mean.flatten(),
            deviation=deviation.flatten(),
        ).to(self.device)
        self.best = [tensor.detach().clone() for tensor in self.stack.folded()]
        self.optimizer = torch.optim.AdamW(
            [
                group
                for fit, weight, bias in zip(
                    self.fits, self.stack.weights, self.stack.biases, strict=True
                )
                for group in (
                    {"params": [weight], "peak": fit.learning_rate},
                    {"params": [bias], "peak": fit.learning_rate, "weight_decay": 0.0},
                )
            ],
            weight_decay=weight_decay,
        )

    @property
    def num_epochs_done(self) -> int:
        return len(self.fits[0].history)

    @property
    def is_done(self) -> bool:
        return self.num_epochs_done >= self.options.epochs or all(f.is_stopped for f in self.fits)

    def run_epoch(self, show_progress: bool = False) -> None:
        """Train once over all training prompts, then validate."""
        epoch = self.num_epochs_done
        self._show_progress = show_progress
        train_losses = self._train(epoch)
        metrics = self._validate()
        weight, bias = (tensor.detach() for tensor in self.stack.folded())
        for index, fit in enumerate(self.fits):
            record = {"train_loss": train_losses[index], **metrics[index]}
            if fit.add(record, self.options):
                self.best[0][index], self.best[1][index] = weight[index], bias[index]
        if all(fit.epoch < 0 for fit in self.fits):
            lowest_rate = min(fit.learning_rate for fit in self.fits)
            raise ValueError(
                f"the validation loss is {metrics[0]['loss']} in epoch {epoch + 1}; lower the "
                f"learning rate ({lowest_rate:g}) or the weight decay "
                f"({self.options.weight_decay:g})"
            )

    def _train(self, epoch: int) -> list[float]:
        """Training loss of each head."""
        options, loss = self.options, LOSSES[self.options.loss]
        is_wanted = self.labels.is_train
        steps = self._plan(is_wanted, options.seeds[0], epoch)
        reader = Reader(self.source, steps, is_wanted, self._show_progress)
        totals = torch.zeros(len(self.fits), dtype=torch.float64, device=self.device)
        counts = 0.0
        for number, step in enumerate(self._bar(steps, f"epoch {epoch + 1}")):
            progress = (epoch + (number + 1) / len(steps)) / options.epochs
            factor = learning_rate_factor(progress, options.schedule, options.warmup)
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            folded = self.stack.folded()
            weight, bias = (tensor.detach().requires_grad_() for tensor in folded)
            count = 0.0
            for run in step:  # one after the other: a step may take more memory than there is
                batch = self._cut(reader, run, is_wanted)
                count += float(loss.count(batch.correct, batch.present).sum())
                _, total = self._scores_and_loss((weight, bias), batch)
                total.sum().backward()
                totals += total.detach()
            if not count:
                continue  # only prompts with nothing to compare
            self.optimizer.zero_grad()
            assert weight.grad is not None and bias.grad is not None  # what counts has a loss
            torch.autograd.backward(folded, [weight.grad / count, bias.grad / count])
            if options.loss in SHIFT_INVARIANT:
                for parameter in self.stack.biases:
                    parameter.grad[0] = 0
            self.optimizer.step()
            counts += count
        if not counts:
            raise nothing_to_learn("training", options.loss)
        return (totals / counts).tolist()

    @torch.no_grad()
    def _validate(self) -> list[dict[str, float]]:
        """Metrics of each head on the validation prompts."""
        loss, is_wanted = LOSSES[self.options.loss], self.labels.is_validation
        steps = self._plan(is_wanted, "validation")
        reader = Reader(self.source, steps, is_wanted, self._show_progress)
        folded = self.stack.folded()
        totals = torch.zeros(len(self.fits), dtype=torch.float64, device=self.device)
        counts = 0.0
        tables: list[tuple[Tensor, Tensor, Tensor]] = []
        held_out = self._bar(steps, "held-out prompts", leave=False)
        for run in itertools.chain.from_iterable(held_out):
            batch = self._cut(reader, run, is_wanted)
            scores, total = self._scores_and_loss(folded, batch)
            totals += total
            counts += float(loss.count(batch.correct, batch.present).sum())
            tables.append((scores, batch.correct, batch.present))
        if not counts:
            raise nothing_to_learn("validation", self.options.loss)
        losses = (totals / counts).tolist()
        tables = [(scores.cpu(), correct, present) for scores, correct, present in tables]
        return [{"loss": loss, **_pick_metrics(tables, index)} for index, loss in enumerate(losses)]

    def _bar(
        self, steps: Sequence[Sequence[Run]], desc: str, *, leave: bool = True
    ) -> Iterable[Sequence[Run]]:
        """The steps, counted where somebody looks on."""
        is_hidden = None if self._show_progress else True  # None: unless it is a terminal
        return tqdm(steps, unit="step", desc=desc, leave=leave, disable=is_hidden)

    def _read_moments(self) -> Moments:
        if not self._show_progress:
            return self.source.moments()
        with tqdm(unit="token", desc="reading moments", leave=False, disable=None) as bar:
            return self.source.moments(bar.update)

    def _plan(self, is_wanted: Sequence[bool], *key: object) -> list[list[Run]]:
        return plan_epoch(
            self.source.shards,
            is_wanted,
            self.options.batch_size,
            self.source.spec.token_bytes,
            *key,
        )

    def _cut(self, reader: Reader, run: Run, is_wanted: Sequence[bool]) -> RunBatch:
        shard = self.source.shards[run.shard]
        return cut_run(reader.pack(run), shard, run, self.labels.correct, is_wanted)

    def _scores_and_loss(
        self, folded: tuple[Tensor, Tensor], batch: RunBatch
    ) -> tuple[Tensor, Tensor]:
        """Scores `[S, P, N]` and the sum of the losses `[S]`, on the device."""
        if self.device.type != "cpu":
            batch = RunBatch(*(tensor.to(self.device) for tensor in batch))
        blocks = [batch.states]
        if self._blocks is not None:
            views = batch.states.unflatten(1, (-1, self.source.spec.block_size))
            blocks = [views[:, block] for block in self._blocks]
        scores = batch.table(stack_scores(*folded, blocks, batch.offsets, batch.scored))
        total = LOSSES[self.options.loss].total
        return scores, total(scores, batch.correct, batch.present, self.options.alpha)

    def heads(self) -> list[RewardHead]:
        """The heads as they were in their best epochs."""
        spec = self.source.spec
        layers = self.options.layers
        weight, bias = (tensor.cpu() for tensor in self.best)
        num_rows = weight.shape[1]
        weight = weight.reshape(len(weight), num_rows, -1, spec.block_size)
        return [spec.to_head(w, b, layers) for w, b in zip(weight, bias, strict=True)]


def _pick_metrics(tables: Sequence[tuple[Tensor, Tensor, Tensor]], head: int) -> dict[str, float]:
    """AUROC over all candidates; best-of-N and random over the prompts."""
    picks, randoms, scores, labels = [], [], [], []
    for table, correct, present in tables:
        has_any = present.any(dim=1)
        row = torch.where(present, table[head], float("nan"))[has_any]
        right = (correct & present)[has_any]
        picks.append(picked_accuracy(row, right))
        randoms.append(right.sum(1).double() / present[has_any].sum(1))
        scores.append(table[head][present])
        labels.append(correct[present])
    return {
        "auroc": auroc(torch.cat(scores), torch.cat(labels)),
        "best_of_n": float(torch.cat(picks).mean()),
        "random": float(torch.cat(randoms).mean()),
    }
