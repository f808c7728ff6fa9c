"""Several heads fitted together: the features are read once for all of them.

S heads over standardised features `z = (x - mean) / deviation`, `[tokens, D]`. With R rows, the
reward's and the gate's, a head is `weight [R, D]` and `bias [R]`, and

    <z, weight> + bias = <x, weight / deviation> + bias - <mean, weight / deviation>

so the standardisation is folded into the weights: once a step here, for good in the saved head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from swift_kernels import score_packed
from swift_kernels.backends import Backend, choose_backend
from swift_kernels.checks import FLOAT_DTYPES
from swift_kernels.project import project_tokens
from swift_kernels.reference import divide_by_gates, rewards_and_gates, score_terms
from swift_kernels.weights import HeadWeights

INITIAL_SCALE = 0.1


class HeadStack(nn.Module):
    """Weights of S heads: `weights[s]` is `[R, B * W]`, `biases[s]` is `[R]`.

    Args:
        seeds: of the initial weights, one for each head.
        num_blocks, block_size: B and W of the features that are read.
        gated: R is 2 with a gate, else 1.
        mean, deviation: `[B * W]` of the features.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        num_blocks: int,
        block_size: int,
        *,
        gated: bool,
        mean: Tensor,
        deviation: Tensor,
    ):
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.shape = (num_blocks, block_size)
        self.gated = gated
        width = num_blocks * block_size
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for seed in seeds:
            generator = torch.Generator(device="cpu").manual_seed(seed)
            start = torch.randn(
                2 if gated else 1, width, generator=generator, dtype=mean.dtype, device="cpu"
            )
            self.weights.append(nn.Parameter(start * INITIAL_SCALE * width**-0.5))
            self.biases.append(nn.Parameter(start.new_zeros(len(start))))
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight `[S, R, B, W]` and bias `[S, R]` over the features as they are stored."""
        weight = torch.stack(tuple(self.weights)) / self.deviation
        bias = torch.stack(tuple(self.biases)) - weight @ self.mean
        return weight.unflatten(-1, self.shape), bias


class _FusedScores(nn.Module):
    """Scores of packed candidates, for `functional_call` to put weights in that have a gradient."""

    def __init__(self, num_blocks: int, block_size: int, *, gated: bool):
        super().__init__()
        with torch.device("meta"):  # neither memory nor a random draw for what is replaced
            self.head = HeadWeights(
                num_blocks, block_size, gated=gated, layers=None, feature="hidden_states"
            )

    def forward(self, blocks: Sequence[Tensor], offsets: Tensor, scored: Tensor) -> Tensor:
        return score_packed(blocks, self.head, offsets, scored, backend="triton")


def stack_scores(
    weight: Tensor,
    bias: Tensor,
    blocks: Sequence[Tensor],
    offsets: Tensor,
    scored: Tensor,
    *,
    backend: Backend = "auto",
) -> Tensor:
    """Scores `[S, M]` of packed candidates under S heads, differentiable.

    Args:
        weight, bias: float32 `[S, R, B, W]` and `[S, R]`.
        blocks: B tensors `[tokens, W]`.
        offsets: int64 `[M + 1]`: candidate m has the rows from `offsets[m]` to `offsets[m + 1]`.
        scored: bool `[tokens]`; rows that are left out may hold anything.
        backend: as in `score_packed`.

    A candidate without a scored token has any score.
    """
    if choose_backend(backend, weight.device) == "triton":
        return _fused_scores(weight, bias, blocks, offsets, scored)
    num_heads, num_rows = bias.shape
    layers = [block[None] for block in blocks]
    values = project_tokens(layers, weight.flatten(0, 1), scored[None])[:, 0]  # [S * R, tokens]
    values = torch.where(scored, values, 0).view(num_heads, num_rows, -1).transpose(0, 1)
    reward, gate = rewards_and_gates(values, bias.T[..., None])  # [S, tokens]
    gate = torch.where(scored, gate, 0)
    numbers = torch.arange(len(offsets) - 1, dtype=torch.int64, device=offsets.device)
    owner = numbers.repeat_interleave(offsets.diff())
    sums = values.new_zeros(2, num_heads, len(offsets) - 1)
    sums = sums.index_add(2, owner, torch.stack(score_terms(reward, gate)))
    return divide_by_gates(*sums)


def _fused_scores(
    weight: Tensor, bias: Tensor, blocks: Sequence[Tensor], offsets: Tensor, scored: Tensor
) -> Tensor:
    """By the fused kernel, forward and backward, one head after the other."""
    if blocks[0].dtype not in FLOAT_DTYPES:  # float8, which float16 holds exactly
        blocks = [block.half() for block in blocks]
    num_rows, num_blocks, block_size = weight.shape[1:]
    scores = _FusedScores(num_blocks, block_size, gated=num_rows == 2)
    names = ("head.reward", "head.gate")[:num_rows]
    return torch.stack(
        [
            functional_call(
                scores,
                {f"{name}_weight": row for name, row in zip(names, rows, strict=True)}
                | {f"{name}_bias": value for name, value in zip(names, values, strict=True)},
                (blocks, offsets, scored),
            )
            for rows, values in zip(weight, bias, strict=True)
        ]
    )
