"""Find a projection: the directions in which the states of a sample of tokens vary most.

The states are centred and scaled to unit deviation first, as the first tokens show it, or a few
dimensions of huge values would take every direction, and every digit of the sums. With z the scaled
states of n sampled tokens and a random orthonormal `test [W, k]`, one pass gives

    sketch = (sum_t z[t] (z[t]^T test)) / n - m (m^T test)   = C test,     m = mean of z

and C, the correlation matrix `[W, W]` that is never formed, is close to
`sketch (test^T sketch)^-1 sketch^T` (Nystrom; Halko et al., arXiv 0909.4061; Tropp et al., arXiv
1706.05736), whose eigenvectors come from a matrix of k columns.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from swift_bon.features.projection import Projection, Scaling
from swift_bon.features.spec import DEVIATION_FLOOR, PIECE_TOKENS
from swift_kernels.checks import check_choice, check_count

KINDS = ("mixed", "per_layer")
SCALE_TOKENS = 2_000  # enough to say how large each dimension is
OVERSAMPLING = 2  # columns of the sketch for each direction kept
ROW_MULTIPLE = 8  # numbers of a block, so that the blocks of a row lie where kernels want them
EIGENVALUE_FLOOR = 1e-6  # of the largest: a direction in which nothing moves is not blown up


class CorrelationSketch:
    """The sums over tokens from which the directions of one block are found.

    Args:
        centers: what is taken off the states of each of its layers first, `[H]` each.
        scales: what they are multiplied with then, `[H]` each.
        num_columns: k, at most the width of the block, L * H.
        seed: of the random test matrix.
    """

    def __init__(
        self, centers: Sequence[Tensor], scales: Sequence[Tensor], num_columns: int, seed: int
    ):
        generator = torch.Generator(device="cpu").manual_seed(seed)
        self.centers, self.scales = centers, scales
        sizes = [len(scale) for scale in scales]
        drawn = torch.empty(sum(sizes), num_columns, dtype=torch.float32, device="cpu")
        test, _ = torch.linalg.qr(drawn.normal_(generator=generator))
        self.tests = [
            part.to(scale.device) for part, scale in zip(test.split(sizes), scales, strict=True)
        ]
        self.products = [torch.zeros_like(test) for test in self.tests]
        self.totals = [torch.zeros_like(scale, dtype=torch.float64) for scale in scales]
        self.num_tokens = 0

    def add(self, layers: Sequence[Tensor]) -> None:
        """Take the states of some tokens, `[tokens, H]` of each layer, without joining them."""
        pieces = [layer.split(PIECE_TOKENS) for layer in layers]
        for piece in zip(*pieces, strict=True):
            blocks = zip(piece, self.centers, self.scales, strict=True)
            scaled = [(state.float() - center) * scale for state, center, scale in blocks]
            image = sum(state @ test for state, test in zip(scaled, self.tests, strict=True))
            for state, product, total in zip(scaled, self.products, self.totals, strict=True):
                product += state.T @ image
                total += state.sum(dim=0, dtype=torch.float64)
            self.num_tokens += len(image)

    def whitened(self, num_directions: int) -> tuple[Tensor, Tensor]:
        """Rows `[K, W]` that give uncorrelated numbers of deviation 1, and their shift `[K]`.

        Raises:
            ValueError: nothing moves.
        """
        test = torch.cat(self.tests)  # [W, k]
        mean = (torch.cat(self.totals) / self.num_tokens).float()
        sketch = torch.cat(self.products) / self.num_tokens - torch.outer(mean, mean @ test)
        if not sketch.any():
            raise ValueError(
                f"the hidden states of all {self.num_tokens} sampled tokens are the same, so they "
                "have no directions; collect more candidates, or take projection=None"
            )
        vectors, values = nystrom_eigenvectors(sketch, test)
        values = values[:num_directions].clamp(min=EIGENVALUE_FLOOR * float(values[0]))
        rows = vectors[:, :num_directions].T / values.sqrt()[:, None]  # over scaled states
        rows_of_states = rows * torch.cat(tuple(self.scales))
        return rows_of_states, rows @ mean + rows_of_states @ torch.cat(tuple(self.centers))


def nystrom_eigenvectors(sketch: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors `[W, k]` and eigenvalues `[k]`, largest first, of C from `C test` and `test`.

    With fewer tokens than columns the root is of a matrix that is singular but for rounding.
    """
    shift = torch.finfo(sketch.dtype).eps * sketch.norm()
    sketch = sketch + shift * test
    core = (test.T @ sketch).double()
    squares, basis = torch.linalg.eigh((core + core.T) / 2)
    factor = sketch @ (basis * squares.clamp(min=shift).rsqrt()).to(sketch.dtype)  # [W, k]
    vectors, roots, _ = torch.linalg.svd(factor, full_matrices=False)
    return vectors, (roots.square() - shift).clamp(min=0)


def find_projection(
    batches: Iterable[Sequence[Tensor]], kind: str, dim: int, seed: int
) -> Projection:
    """Whitened directions from a sample of tokens, in one pass over it.

    Args:
        batches: states of sampled tokens, L tensors `[tokens, H]` at a time.
        kind: "mixed": `dim` directions of all layers together; "per_layer": a share of them each.
        dim: K in all, at most the numbers that there are.
        seed: of the search.
    """
    waiting: list[Sequence[Tensor]] = []
    sketches: list[CorrelationSketch] = []
    for layers in batches:
        waiting.append(layers)
        if not sketches and sum(len(batch[0]) for batch in waiting) >= SCALE_TOKENS:
            sketches = _begin(waiting, kind, dim, seed)
        if sketches:
            _add(sketches, waiting)
    if not sketches:  # fewer tokens than that in all
        sketches = _begin(waiting, kind, dim, seed)
        _add(sketches, waiting)
    _, size = block_sizes(kind, dim, len(layers), layers[0].shape[1])
    rows, shifts = zip(*(sketch.whitened(size) for sketch in sketches), strict=True)
    return Projection(torch.stack(rows).cpu(), torch.stack(shifts).cpu())


def find_scaling(batches: Iterable[Sequence[Tensor]]) -> Scaling:
    """What brings every number of the first sampled tokens to mean 0 and deviation 1."""
    taken: list[Sequence[Tensor]] = []
    for layers in batches:
        taken.append(layers)
        if sum(len(batch[0]) for batch in taken) >= SCALE_TOKENS:
            break
    centers, scales = _standardisers(taken)
    scale = torch.stack(scales).cpu()
    return Scaling(scale, scale * torch.stack(centers).cpu())


def block_sizes(kind: str, dim: int, num_layers: int, hidden_size: int) -> tuple[int, int]:
    """Blocks of a projection to `dim` numbers, and the directions in each.

    A share of more than 8 numbers is rounded down to a multiple of 8.

    Raises:
        ValueError: another kind, or fewer numbers than layers that want some each.
    """
    check_choice(kind, KINDS, "projection")
    check_count(dim, "projection_dim")
    if kind == "mixed":
        return 1, min(dim, num_layers * hidden_size)
    if dim < num_layers:
        raise ValueError(
            f"projection_dim is {dim}, expected at least one for each of {num_layers} layers"
        )
    size = min(dim // num_layers, hidden_size)
    return num_layers, size - size % ROW_MULTIPLE if size > ROW_MULTIPLE else size


def _begin(
    batches: Sequence[Sequence[Tensor]], kind: str, dim: int, seed: int
) -> list[CorrelationSketch]:
    """One sketch for each block, scaled by what the first tokens show."""
    centers, scales = _standardisers(batches)
    _, size = block_sizes(kind, dim, len(centers), len(centers[0]))
    blocks = [(centers, scales)]
    if kind == "per_layer":
        blocks = [([center], [scale]) for center, scale in zip(centers, scales, strict=True)]
    return [
        CorrelationSketch(*block, min(OVERSAMPLING * size, sum(map(len, block[0]))), seed + index)
        for index, block in enumerate(blocks)
    ]


def _standardisers(batches: Sequence[Sequence[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """Mean and one over the deviation of each layer, `[H]` each; one layer at a time is copied."""
    centers, scales = [], []
    for states in zip(*batches, strict=True):
        values = torch.cat(states).float()
        centers.append(values.mean(dim=0))
        scales.append(1 / values.std(dim=0, correction=0).clamp(min=DEVIATION_FLOOR))
    return centers, scales


def _add(sketches: Sequence[CorrelationSketch], waiting: list[Sequence[Tensor]]) -> None:
    for layers in waiting:
        blocks = [layers] if len(sketches) == 1 else [[state] for state in layers]
        for sketch, block in zip(sketches, blocks, strict=True):
            sketch.add(block)
    waiting.clear()
