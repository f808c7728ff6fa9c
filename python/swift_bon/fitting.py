"""Fit a head to the states of stored candidates: cross-entropy of right against wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from swift_bon.candidates import PromptCandidates
from swift_bon.features import Features
from swift_bon.sampling import stream_seed
from swift_bon.statistics import auroc, picked_accuracy
from swift_kernels import RewardHead
from swift_kernels.checks import check_choice, check_count
from swift_kernels.project import project_tokens

STANDARD_DEVIATION_FLOOR = 1e-3  # a dimension that hardly moves is not blown up


@dataclass(frozen=True)
class TrainingOptions:
    """What a fit depends on, besides its data."""

    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 20
    patience: int = 4  # epochs without a better validation loss
    learning_rate: float = 2e-4
    weight_decay: float = 30.0  # 0.6% of each weight a step
    batch_size: int = 256  # candidates
    validation: float = 0.15  # share of the questions
    gated: bool = True
    scored_tokens: str = "fed"


@dataclass(frozen=True)
class Fit:
    """One seed: its best epoch, and how the validation questions fared there."""

    seed: int
    epoch: int
    loss: float
    auroc: float
    best_of_n: float
    random: float
    history: list[dict[str, float]]


def fit_head(
    features: Features,
    prompts: Sequence[PromptCandidates],
    groups: Sequence[str],
    settings: TrainingOptions,
) -> tuple[RewardHead, list[Fit]]:
    """The best head over the seeds, and what each seed came to.

    Args:
        features: of all candidates of `prompts`, in order.
        groups: one per prompt; prompts of one group stand on the same side of the split.
    """
    check_choice(settings.scored_tokens, ("fed", "response"), "scored_tokens")
    check_count(settings.epochs, "epochs")
    data = _TrainingData.build(features, prompts, groups, settings)
    results = [_fit_seed(data, settings, seed) for seed in settings.seeds]
    head, _ = min(results, key=lambda result: result[1].loss)
    return head, [fit for _, fit in results]


@dataclass(frozen=True)
class _TrainingData:
    features: Features
    correct: Tensor  # [M] bool
    prompt_of: Tensor  # [M] position of each candidate's prompt
    train: Tensor  # candidates to fit, indices
    validation: Tensor  # candidates to stop by, indices
    mean: Tensor  # [L * H] of the tokens to fit
    deviation: Tensor  # [L * H]

    @classmethod
    def build(cls, features, prompts, groups, settings: TrainingOptions) -> "_TrainingData":
        correct = torch.tensor([c.correct for prompt in prompts for c in prompt.candidates])
        counts = torch.tensor([len(prompt.candidates) for prompt in prompts])
        prompt_of = torch.arange(len(prompts)).repeat_interleave(counts)
        held_out = torch.tensor(
            [stream_seed("split", g) / 2**63 < settings.validation for g in groups]
        )
        has_tokens = features.offsets.diff() > 0  # the others have no score to learn from
        train = torch.nonzero(has_tokens & ~held_out[prompt_of]).flatten()
        validation = torch.nonzero(has_tokens & held_out[prompt_of]).flatten()
        for side, name in ((train, "training"), (validation, "validation")):
            if not (0 < int(correct[side].sum()) < len(side)):
                raise ValueError(
                    f"the {name} side of the split has {int(correct[side].sum())} right candidates "
                    f"out of {len(side)}, expected right and wrong ones; collect more questions"
                )
        mean, deviation = _moments(features, train)
        return cls(features, correct, prompt_of, train, validation, mean, deviation)


def _moments(features: Features, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every dimension over the tokens of some candidates."""
    total = torch.zeros(features.states.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    num_tokens = 0
    for batch in candidates.split(64):
        states = _states_of(features, batch)[0].float()
        total += states.sum(dim=0)
        squares += states.square().sum(dim=0)
        num_tokens += len(states)
    if not (total.isfinite().all() and squares.isfinite().all()):
        raise ValueError(
            "the hidden states of the candidates hold NaN or inf; load the model in bfloat16 or "
            "float32 and extract again"
        )
    mean = total / num_tokens
    variance = (squares / num_tokens - mean.square()).clamp(min=0)
    return mean.float(), variance.sqrt().clamp(min=STANDARD_DEVIATION_FLOOR).float()


def _states_of(features: Features, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Packed states `[tokens, L * H]` of some candidates, and each token's candidate among them."""
    starts, ends = features.offsets[candidates], features.offsets[candidates + 1]
    rows = [torch.arange(s, e) for s, e in zip(starts.tolist(), ends.tolist(), strict=True)]
    owner = torch.arange(len(candidates)).repeat_interleave(ends - starts)
    return features.states[torch.cat(rows)], owner


class _StandardisedHead(torch.nn.Module):
    """A head over standardised states; folding gives the ordinary head with the same scores."""

    def __init__(self, data: _TrainingData, gated: bool, generator: torch.Generator):
        super().__init__()
        num_rows, width = (2 if gated else 1), len(data.mean)
        start = torch.randn(num_rows, width, generator=generator) * 0.1 * width**-0.5
        self.weight = torch.nn.Parameter(start)  # [R, L * H], the reward's row first
        self.bias = torch.nn.Parameter(torch.zeros(num_rows))
        self.mean, self.deviation = data.mean, data.deviation

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight `[R, L * H]` and bias `[R]` over the raw states."""
        weight = self.weight / self.deviation
        return weight, self.bias - weight @ self.mean

    def scores(self, features: Features, candidates: Tensor) -> Tensor:
        """`[len(candidates)]`, differentiable."""
        states, owner = _states_of(features, candidates)
        weight, bias = self.folded()
        values = (
            project_tokens([states[None]], weight[:, None])[:, 0] + bias[:, None]
        )  # [R, tokens]
        gates = torch.sigmoid(values[1]) if len(values) == 2 else torch.ones_like(values[0])
        sums = values.new_zeros(2, len(candidates))
        sums = sums.index_add(1, owner, torch.stack([gates * values[0], gates]))
        return sums[0] / sums[1].clamp(min=1e-8)

    def to_reward_head(self, features: Features, settings: TrainingOptions) -> RewardHead:
        shape = (features.num_layers, features.hidden_size)
        head = RewardHead(*shape, gated=settings.gated, scored_tokens=settings.scored_tokens)
        weight, bias = (tensor.detach() for tensor in self.folded())
        with torch.no_grad():
            head.reward_weight.copy_(weight[0].view(shape))
            head.reward_bias.copy_(bias[0])
            if settings.gated:
                head.gate_weight.copy_(weight[1].view(shape))
                head.gate_bias.copy_(bias[1])
        return head


def _fit_seed(data: _TrainingData, settings: TrainingOptions, seed: int) -> tuple[RewardHead, Fit]:
    generator = torch.Generator().manual_seed(seed)
    module = _StandardisedHead(data, settings.gated, generator)
    optimizer = torch.optim.AdamW(
        [
            {"params": [module.weight], "weight_decay": settings.weight_decay},
            {"params": [module.bias], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
    )
    history: list[dict[str, float]] = []
    best: tuple[float, int, dict] | None = None
    for epoch in tqdm(range(settings.epochs), unit="epoch", desc=f"seed {seed}"):
        order = data.train[torch.randperm(len(data.train), generator=generator)]
        train_loss = 0.0
        for batch in order.split(settings.batch_size):
            loss = _cross_entropy(module.scores(data.features, batch), data.correct[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            train_loss += float(loss.detach()) * len(batch) / len(order)
        history.append({"train_loss": train_loss, **_validate(module, data)})
        newest = history[-1]["loss"]
        if not math.isfinite(newest):
            raise ValueError(
                f"the validation loss is {newest} in epoch {epoch + 1} of seed {seed}; "
                f"lower the learning rate ({settings.learning_rate})"
            )
        if best is None or history[-1]["loss"] < best[0]:
            state = {name: value.clone() for name, value in module.state_dict().items()}
            best = (history[-1]["loss"], epoch, state)
        elif epoch - best[1] >= settings.patience:
            break
    module.load_state_dict(best[2])
    at_best = history[best[1]]
    fit = Fit(
        seed=seed,
        epoch=best[1],
        loss=best[0],
        auroc=at_best["auroc"],
        best_of_n=at_best["best_of_n"],
        random=at_best["random"],
        history=history,
    )
    return module.to_reward_head(data.features, settings), fit


def _cross_entropy(scores: Tensor, correct: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(scores, correct.to(scores.dtype))


@torch.no_grad()
def _validate(module: _StandardisedHead, data: _TrainingData) -> dict[str, float]:
    candidates = data.validation
    scores = torch.cat([module.scores(data.features, part) for part in candidates.split(512)])
    correct, prompt_of = data.correct[candidates], data.prompt_of[candidates]
    picks, randoms = [], []
    for prompt in prompt_of.unique():
        rows = prompt_of == prompt
        picks.append(picked_accuracy(scores[rows][None], correct[rows][None]))
        randoms.append(correct[rows].double().mean())
    return {
        "loss": float(_cross_entropy(scores, correct)),
        "auroc": auroc(scores, correct),
        "best_of_n": float(torch.cat(picks).mean()),
        "random": float(torch.stack(randoms).mean()),
    }
