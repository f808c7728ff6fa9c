"""Find a projection: the directions in which the states of a sample of tokens vary most.

The states are scaled to unit deviation first, or a few dimensions of huge values would take every
direction. With z the scaled states of n sampled tokens and a random `test [W, k]`, one pass gives

    sketch = (sum_t z[t] (z[t]^T test)) / n - m (m^T test)   = C test,     m = mean of z

and C, the correlation matrix `[W, W]` that is never formed, is close to
`sketch (test^T sketch)^-1 sketch^T` (Nystrom; Halko et al., arXiv 0909.4061; Tropp et al., arXiv
1706.05736), whose eigenvectors come from a matrix of k columns.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from swift_bon.features import DEVIATION_FLOOR
from swift_bon.model_features import ModelFeatures
from swift_bon.projection import Projection
from swift_bon.sampling import stream_seed

SCALE_TOKENS = 2_000  # enough to say how large each dimension is
OVERSAMPLING = 2  # columns of the sketch for each direction kept


class CorrelationSketch:
    """The sum over tokens from which the directions of one block are found.

    Args:
        scale: `[W]`, what the states are multiplied with.
        num_columns: k.
    """

    def __init__(self, scale: Tensor, num_columns: int, generator: torch.Generator):
        width = len(scale)
        num_columns = min(num_columns, width)
        test = torch.randn(width, num_columns, generator=generator)
        self.scale, self.test = scale, test.to(scale.device)
        self.products = torch.zeros_like(self.test)
        self.total = torch.zeros_like(scale, dtype=torch.float64)
        self.num_tokens = 0

    def add(self, states: Tensor) -> None:
        """Take states `[tokens, W]`."""
        scaled = states.float() * self.scale
        self.products += scaled.T @ (scaled @ self.test)
        self.total += scaled.sum(dim=0, dtype=torch.float64)
        self.num_tokens += len(states)

    def directions(self, num_directions: int) -> tuple[Tensor, Tensor]:
        """Eigenvectors `[W, K]` of the correlation and their eigenvalues `[K]`, largest first."""
        mean = (self.total / self.num_tokens).float()
        sketch = self.products / self.num_tokens - torch.outer(mean, mean @ self.test)
        shift = torch.finfo(torch.float32).eps * sketch.norm()  # keeps the root below real
        sketch = sketch + shift * self.test
        core = self.test.T @ sketch
        root = torch.linalg.cholesky((core + core.T) / 2)
        factor = torch.linalg.solve_triangular(root, sketch.T, upper=False).T  # [W, k]
        vectors, roots, _ = torch.linalg.svd(factor, full_matrices=False)
        values = (roots.square() - shift).clamp(min=0)
        return vectors[:, :num_directions], values[:num_directions]
