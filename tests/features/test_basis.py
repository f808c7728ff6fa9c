"""Directions found in one pass over a sample: white, and as good as the exact ones."""

import pytest
import torch

from feature_cases import random_prompts, shared_model
from swift_bon.features import basis, model_features
from swift_bon.features.basis import CorrelationSketch, block_sizes, find_projection, find_scaling
from swift_bon.features.model_features import ModelFeatures, feature_spec
from tiny_models import tiny_tokenizer

PROMPTS = random_prompts(50)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def correlated(num_tokens: int, width: int, offset: float = 0.0) -> list[torch.Tensor]:
    """Two layers whose numbers go together, some of them far larger than others."""
    decay = torch.arange(1, width + 1).float() ** -1.5
    mixing = torch.linalg.qr(draw(width, width))[0]
    states = (draw(num_tokens, width) * decay) @ mixing + offset
    states = states * torch.logspace(-1, 2, width)
    return list(states.split(width // 2, dim=1))


def find_directions(layers, num_directions, seed=0, num_batches=3):
    centers, scales = basis._standardisers([layers])
    num_columns = min(basis.OVERSAMPLING * num_directions, sum(map(len, scales)))
    sketch = CorrelationSketch(centers, scales, num_columns, seed)
    for batch in zip(*(layer.tensor_split(num_batches) for layer in layers), strict=True):
        sketch.add(batch)
    return sketch.whitened(num_directions)


def whitened(layers, rows, shift):
    return torch.cat(layers, dim=1).double() @ rows.double().T - shift.double()


@pytest.mark.parametrize("offset", [0.0, 30.0], ids=["centred", "far-from-zero"])
@pytest.mark.parametrize(("num_directions", "limit"), [(4, 0.3), (8, 0.2), (40, 0.001), (64, 0.01)])
def test_directions_are_white_and_as_good_as_the_exact_ones(num_directions, limit, offset):
    """Twice as many columns as directions make the small ones a little too small, all of them
    none at all."""
    layers = correlated(3000, 64, offset)
    z = whitened(layers, *find_directions(layers, num_directions))
    assert z.mean(dim=0).abs().max() < 1e-2
    covariance = z.T @ z / len(z)
    assert (covariance - torch.eye(num_directions)).abs().max() < limit
    x = torch.cat(layers, dim=1).double()
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    exact = torch.linalg.eigh(x.T @ x / len(x)).eigenvalues.flip(0)[:num_directions].sum()
    span = torch.linalg.qr(torch.linalg.lstsq(x, z).solution).Q  # of the directions, for x
    captured = (x @ span).square().sum() / len(x)
    assert 0.98 * exact <= captured <= 1.0001 * exact


def test_directions_are_the_same_for_a_seed_whatever_the_batches():
    layers = correlated(500, 32)
    first, again = find_directions(layers, 6), find_directions(layers, 6)
    assert all(map(torch.equal, first, again))
    other = find_directions(layers, 6, seed=1)
    assert not torch.equal(first[0], other[0])
    split = find_directions(layers, 6, num_batches=50)
    torch.testing.assert_close(
        whitened(layers, *first).abs(), whitened(layers, *split).abs(), rtol=1e-2, atol=1e-2
    )


@pytest.mark.parametrize("num_tokens", [2, 3, 20])
@pytest.mark.parametrize("num_directions", [24, 32])
def test_fewer_tokens_than_directions(num_tokens, num_directions):
    layers = correlated(num_tokens, 32)
    rows, shift = find_directions(layers, num_directions)
    assert rows.shape == (num_directions, 32)
    assert rows.isfinite().all() and shift.isfinite().all()
    z = whitened(layers, rows, shift)
    moving = num_tokens - 1
    covariance = (z - z.mean(dim=0)).T @ (z - z.mean(dim=0)) / num_tokens
    assert (covariance[:moving, :moving] - torch.eye(moving)).abs().max() < 0.05
    assert z.abs().max() < 10


@pytest.mark.parametrize("num_tokens", [1, 4])
def test_states_that_do_not_move(num_tokens):
    layers = [torch.ones(num_tokens, 4), torch.zeros(num_tokens, 4)]
    with pytest.raises(ValueError, match=f"of all {num_tokens} sampled tokens are the same"):
        find_directions(layers, 2)


def features(prompts=PROMPTS) -> ModelFeatures:
    made_of = feature_spec(shared_model(), None, "fed", "float32", False)
    return ModelFeatures(shared_model(), tiny_tokenizer(), prompts, made_of, batch_size=40)


def all_states(source) -> list[torch.Tensor]:
    everything = torch.cat([source.read(n).states for n in range(len(source.shards))])
    return list(everything.split(32, dim=1))


@pytest.mark.parametrize("scale_tokens", [40, 10**6], ids=["scales-from-few", "from-all"])
@pytest.mark.parametrize(
    ("kind", "dim", "shape", "limit"),
    [
        ("mixed", 12, (1, 12, 128), 0.3),
        ("mixed", 10**6, (1, 128, 128), 0.02),
        ("per_layer", 14, (4, 3, 32), 0.5),
        ("per_layer", 10**6, (4, 32, 32), 0.02),
    ],
)
def test_projection_of_a_model(kind, dim, shape, limit, scale_tokens, monkeypatch):
    monkeypatch.setattr(basis, "SCALE_TOKENS", scale_tokens)
    source = features()
    projection = find_projection(source.sample(0), kind, dim, seed=0)
    assert projection.matrix.shape == shape
    assert projection.shift.shape == shape[:2]
    again = find_projection(source.sample(0), kind, dim, seed=0)
    assert all(map(torch.equal, projection, again))
    z = projection.apply(all_states(source)).double().view(-1, *shape[:2])
    covariance = torch.einsum("tbk,tbj->bkj", z, z) / len(z)
    few = slice(0, 3)  # the leading ones
    assert (covariance[:, few, few] - torch.eye(shape[1])[few, few]).abs().max() < limit
    assert z.mean(dim=0).abs().max() < 0.05


def test_projection_takes_one_pass_over_a_sample(monkeypatch):
    monkeypatch.setattr(model_features, "SAMPLE_TOKENS", 30)
    source = features()
    seen = []
    run = source.states
    monkeypatch.setattr(
        source, "states", lambda responses: seen.append(responses) or run(responses)
    )
    find_projection(source.sample(0), "mixed", 4, seed=0)
    find_projection(source.sample(1), "mixed", 4, seed=1)
    find_scaling(source.sample(0))
    assert len(seen) == 3
    assert seen[0] == seen[2] != seen[1]
    for responses in seen:
        lengths = [r.num_scored for r in responses]
        assert sum(lengths) >= 30 > sum(lengths[:-1])


def test_states_are_scaled_in_pieces(monkeypatch):
    layers = correlated(500, 32)
    expected = find_directions(layers, 6)
    rows = []
    split = torch.Tensor.split

    def record(self, *args, **kwargs):
        pieces = split(self, *args, **kwargs)
        rows.extend(map(len, pieces))
        return pieces

    monkeypatch.setattr(basis, "PIECE_TOKENS", 30)
    pieces = find_directions(layers, 6)
    monkeypatch.setattr(torch.Tensor, "split", record)
    find_directions(layers, 6)
    assert rows.count(30) >= 2 * 15
    torch.testing.assert_close(
        whitened(layers, *expected).abs(), whitened(layers, *pieces).abs(), rtol=1e-2, atol=1e-2
    )


def test_scaling_brings_states_to_deviation_one():
    source = features()
    scaling = find_scaling(source.sample(0))
    states = all_states(source)
    z = scaling.apply(states).double()
    assert z.mean(dim=0).abs().max() < 1e-4
    torch.testing.assert_close(
        z.std(dim=0, correction=0), torch.ones(128).double(), atol=1e-3, rtol=0
    )


def test_block_sizes():
    assert block_sizes("mixed", 512, 33, 4096) == (1, 512)
    assert block_sizes("mixed", 512, 2, 32) == (1, 64)
    assert block_sizes("per_layer", 512, 33, 4096) == (33, 8)
    assert block_sizes("per_layer", 1024, 33, 4096) == (33, 24)
    assert block_sizes("per_layer", 20, 3, 32) == (3, 6)
    assert block_sizes("per_layer", 512, 3, 32) == (3, 32)
    with pytest.raises(ValueError, match="projection_dim is 32, expected at least one for each"):
        block_sizes("per_layer", 32, 33, 4096)
    with pytest.raises(ValueError, match="projection_dim is 0"):
        block_sizes("mixed", 0, 33, 4096)
    with pytest.raises(ValueError, match="projection is 'pca'"):
        block_sizes("pca", 8, 33, 4096)


def test_eigenvectors_survive_the_rounding_of_their_sums():
    """What is singular may turn out a little negative."""
    exact = torch.linalg.qr(draw(32, 3))[0]
    test = torch.linalg.qr(draw(32, 24).flip(0))[0]
    correlation = exact * torch.tensor([9.0, 4.0, 1.0]) @ exact.T
    sketch = correlation @ test + 1e-5 * draw(24, 32).T
    vectors, values = basis.nystrom_eigenvectors(sketch, test)
    assert vectors.isfinite().all() and values.isfinite().all()
    torch.testing.assert_close(values[:3], torch.tensor([9.0, 4.0, 1.0]), rtol=0.01, atol=0.0)
    overlap = (vectors[:, :3].T @ exact).abs()
    torch.testing.assert_close(overlap, torch.eye(3), rtol=0, atol=0.01)
