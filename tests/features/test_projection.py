"""Projections: they are their formula, and a head over their features is a head over states."""

import dataclasses

import pytest
import torch

from swift_bon.features.projection import Projection, Scaling
from swift_bon.features.spec import FeatureSpec


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def spec(projection=None, layers=(0, 1, 2)) -> FeatureSpec:
    return FeatureSpec("m", 4, 6, layers, "fed", "float32", projection)


PROJECTIONS = {
    "mixed": Projection(draw(1, 5, 18), draw(1, 5)),
    "per_layer": Projection(draw(3, 5, 6), draw(3, 5)),
    "scaling": Scaling(draw(3, 6), draw(3, 6)),
    "none": None,
}


def expected_features(projection, states):
    """The formula, float64 `[tokens, B, K]`; states `[3, tokens, 6]`."""
    states = states.double()
    if projection is None:
        return states.permute(1, 0, 2)
    if isinstance(projection, Scaling):
        blocks = states.permute(1, 0, 2)
        return blocks * projection.scale.double() - projection.shift.double()
    num_blocks = projection.num_blocks
    blocks = states.permute(1, 0, 2).reshape(-1, num_blocks, 18 // num_blocks)
    z = torch.einsum("bkw,tbw->tbk", projection.matrix.double(), blocks)
    return z - projection.shift.double()


@pytest.mark.parametrize("kind", ["mixed", "per_layer", "scaling"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_apply_is_the_formula(kind, dtype):
    states = (draw(3, 11, 6, seed=1) * 3).to(dtype)
    z = PROJECTIONS[kind].apply(list(states))
    assert z.dtype == torch.float32
    expected = expected_features(PROJECTIONS[kind], states).flatten(1)
    torch.testing.assert_close(z.double(), expected, rtol=1e-5, atol=1e-5)
    assert z.shape[1] == spec(PROJECTIONS[kind]).dim


SUBSETS = [None, (0, 1, 2), (0, 2), (1,)]


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(
    ("kind", "layers"),
    [("mixed", None), *((k, s) for k in ("per_layer", "scaling", "none") for s in SUBSETS)],
)
def test_lifted_head_scores_the_states_as_the_head_scores_the_features(kind, layers, gated):
    made_of = spec(PROJECTIONS[kind])
    blocks = made_of.blocks_of(layers)
    rows = 2 if gated else 1
    weight = draw(rows, len(blocks), made_of.block_size, seed=2)
    bias = draw(rows, seed=3)
    if kind == "none" and layers is not None:
        weight = weight.reshape(rows, len(layers), 6)
    head = made_of.to_head(weight, bias, layers)
    states = draw(3, 40, 6, seed=4)
    z = expected_features(PROJECTIONS[kind], states)[:, blocks]
    expected = torch.einsum("rbk,tbk->rt", weight.double(), z) + bias.double()[:, None]
    taken = states[list(layers or (0, 1, 2))].double()
    actual = [torch.einsum("lh,lth->t", head.reward_weight.double(), taken) + head.reward_bias]
    if gated:
        actual.append(torch.einsum("lh,lth->t", head.gate_weight.double(), taken) + head.gate_bias)
    # what is lost is the rounding of the saved weights
    torch.testing.assert_close(torch.stack(actual), expected, rtol=1e-6, atol=1e-5)
    assert head.gated == gated
    assert head.layers == (layers or (0, 1, 2))
    assert (head.base_model, head.scored_tokens, head.num_layers) == ("m", "fed", 4)


def test_a_head_over_all_layers_selects_none():
    made_of = spec(layers=(0, 1, 2, 3))
    assert made_of.to_head(draw(1, 4, 6), draw(1)).layers is None
    assert made_of.to_head(draw(1, 4, 6), draw(1), (0, 1, 2, 3)).layers is None


def test_blocks_of_layers():
    assert spec(layers=(0, 2, 3)).blocks_of((2, 3)) == [1, 2]
    assert spec(PROJECTIONS["per_layer"], layers=(0, 2, 3)).blocks_of((0, 3)) == [0, 2]
    assert spec(PROJECTIONS["mixed"]).blocks_of((0, 1, 2)) == [0]
    assert spec(PROJECTIONS["mixed"]).blocks_of(None) == [0]
    with pytest.raises(ValueError, match=r"layers has 3, the features have \[0, 1, 2\]; extract"):
        spec().blocks_of((0, 3))
    with pytest.raises(ValueError, match=r"layers is \[0\], but the projection .* mixes all of"):
        spec(PROJECTIONS["mixed"]).blocks_of((0,))


def test_a_spec_is_plain_data():
    assert dataclasses.replace(spec(), dtype="float8").token_bytes == 18
    assert spec(PROJECTIONS["mixed"]).token_bytes == 20
