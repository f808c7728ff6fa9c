"""Hidden states in other coordinates: fewer of them, or scaled; exact to undo for a head.

With x `[tokens, B, W]` the states of some tokens in B blocks (each layer, or all end to end):

    z[b] = matrix[b] x[b] - shift[b]                      [tokens, B, K]
    <z, w> = <x, sum_b matrix[b]^T w[b]> - sum_b <shift[b], w[b]>

so a head over z is a head over x.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Projection(NamedTuple):
    """B bases of K directions. B is 1 where layers are mixed, else the number of layers."""

    matrix: Tensor  # [B, K, W] float32
    shift: Tensor  # [B, K] float32

    @property
    def num_blocks(self) -> int:
        return len(self.matrix)

    @property
    def block_size(self) -> int:
        return self.matrix.shape[1]

    def to(self, device: torch.device) -> "Projection":
        return Projection(self.matrix.to(device), self.shift.to(device))

    def apply(self, layers: Sequence[Tensor]) -> Tensor:
        """z, float32 `[tokens, B * K]`, of L tensors `[tokens, H]`."""
        matrix = self.matrix.to(layers[0].device)
        shift = self.shift.to(layers[0].device)
        if self.num_blocks == 1:
            hidden_size = layers[0].shape[1]
            parts = matrix[0].split(hidden_size, dim=1)  # L of [K, H]
            z = sum(state.float() @ part.T for state, part in zip(layers, parts, strict=True))
            return z - shift[0]
        parts = [state.float() @ part.T for state, part in zip(layers, matrix, strict=True)]
        return torch.cat(parts, dim=1) - shift.flatten()

    def lift(self, weight: Tensor, bias: Tensor, blocks: list[int]) -> tuple[Tensor, Tensor]:
        """Weight `[R, B, K]` and bias `[R]` over some blocks of z, as `[R, B, W]` over the states.

        In float64, so that what is lost is the rounding of the result.
        """
        matrix, shift = self.matrix[blocks].double(), self.shift[blocks].double()
        weight, bias = weight.double(), bias.double()
        lifted = torch.einsum("rbk,bkw->rbw", weight, matrix)
        return lifted, bias - torch.einsum("rbk,bk->r", weight, shift)


class Scaling(NamedTuple):
    """A projection that keeps every number and moves it into the range of a small dtype:
    `z = scale * x - shift`."""

    scale: Tensor  # [B, W] float32
    shift: Tensor  # [B, W] float32

    @property
    def num_blocks(self) -> int:
        return len(self.scale)

    @property
    def block_size(self) -> int:
        return self.scale.shape[1]

    def to(self, device: torch.device) -> "Scaling":
        return Scaling(self.scale.to(device), self.shift.to(device))

    def apply(self, layers: Sequence[Tensor]) -> Tensor:
        """z, float32 `[tokens, B * W]`, of B tensors `[tokens, W]`."""
        scale, shift = (tensor.to(layers[0].device) for tensor in self)
        blocks = zip(layers, scale, shift, strict=True)
        return torch.cat([state.float() * times - less for state, times, less in blocks], dim=1)

    def lift(self, weight: Tensor, bias: Tensor, blocks: list[int]) -> tuple[Tensor, Tensor]:
        """As `Projection.lift`."""
        scale, shift = self.scale[blocks].double(), self.shift[blocks].double()
        weight, bias = weight.double(), bias.double()
        return weight * scale, bias - torch.einsum("rbk,bk->r", weight, shift)
