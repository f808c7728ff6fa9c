"""Features straight from the model: its states, packed by prompt, in the dtype that was asked."""

import pytest
import torch

from feature_cases import (
    FEW_PROMPTS,
    assert_same_features,
    features_by_prompt,
    features_of,
    own_states,
    shared_model,
    spec_of,
    write_candidates,
)
from swift_bon.features import model_features
from swift_bon.features import spec as features_module
from swift_bon.features.model_features import feature_spec, stream_features
from swift_bon.features.projection import Projection, Scaling
from swift_bon.features.shards import divide_moments, sum_moments
from swift_bon.features.spec import DEVIATION_FLOOR
from swift_bon.models import forward
from tiny_models import tiny_tokenizer


def expected_features(spec, model=None):
    """From forwards of one candidate each."""
    expected = {}
    for prompt in FEW_PROMPTS:
        expected[prompt.id] = []
        for states in own_states(model or shared_model(), prompt, spec.scored_tokens):
            layers = states[list(spec.layers)]
            if spec.projection is None:
                values = layers.permute(1, 0, 2).flatten(1)
            else:
                values = spec.projection.apply(list(layers))
            expected[prompt.id].append(values)
    return expected


def random_projection(num_blocks: int, width: int) -> Projection:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(num_blocks, 5, width, generator=generator) / 10
    return Projection(matrix, torch.randn(num_blocks, 5, generator=generator))


def random_scaling(num_blocks: int) -> Scaling:
    generator = torch.Generator().manual_seed(0)
    scale = torch.rand(num_blocks, 32, generator=generator)
    return Scaling(scale, torch.randn(num_blocks, 32, generator=generator))


SPECS = {
    "fed": {},
    "response": {"scored_tokens": "response"},
    "layers": {"layers": [0, 3]},
    "mixed": {"projection": random_projection(1, 128)},
    "per-layer": {"projection": random_projection(4, 32)},
    "per-layer-of-two": {"layers": [1, 2], "projection": random_projection(2, 32)},
    "scaled": {"projection": random_scaling(4)},
}


@pytest.mark.parametrize("case", SPECS)
def test_features_are_those_of_the_models_own_states(case):
    spec = spec_of(**SPECS[case])
    features = features_by_prompt(features_of(spec, batch_size=7, shard_bytes=4000), FEW_PROMPTS)
    expected = expected_features(spec)
    assert_same_features(features, expected, rtol=1e-4, atol=1e-4)
    assert {values.shape[1] for rows in features.values() for values in rows} == {spec.dim}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8"])
def test_narrow_dtypes_are_rounded_once(dtype):
    exact = features_by_prompt(features_of(spec_of()), FEW_PROMPTS)
    kind = model_features.DTYPES[dtype]
    expected = {name: [v.to(kind).float() for v in rows] for name, rows in exact.items()}
    features = features_of(spec_of(dtype=dtype))
    assert features.read(0).states.dtype == kind
    assert_same_features(features_by_prompt(features, FEW_PROMPTS), expected)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_any_batch_gives_the_same_packs(batch_size):
    expected = features_of(spec_of(), batch_size=10, shard_bytes=9000)
    features = features_of(spec_of(), batch_size=batch_size, shard_bytes=9000)
    assert features.shards == expected.shards
    for number in range(len(features.shards)):
        states, offsets = features.read(number)
        assert torch.equal(offsets, expected.read(number).offsets)
        torch.testing.assert_close(states, expected.read(number).states, rtol=1e-5, atol=1e-5)


def test_only_wanted_prompts_are_computed(monkeypatch):
    features = features_of(spec_of(), shard_bytes=9000)
    whole = features.read(0)
    computed = []
    run = model_features.response_states

    def record(model, rendered, responses, **settings):
        computed.extend(r.prompt for r in responses if r.num_scored)
        return run(model, rendered, responses, **settings)

    monkeypatch.setattr(model_features, "response_states", record)
    prompts = features.shards[0].prompts
    assert len(prompts) > 2
    wanted = [index % 2 == 0 for index in range(len(prompts))]
    states, offsets = features.read(0, wanted)
    assert set(computed) <= set(prompts[::2])
    assert torch.equal(offsets, whole.offsets)
    first = 0
    for is_wanted, count in zip(wanted, features.shards[0].num_candidates, strict=True):
        rows = slice(offsets[first], offsets[first + count])
        first += count
        if is_wanted:
            torch.testing.assert_close(states[rows], whole.states[rows], rtol=1e-5, atol=1e-5)
        else:
            assert states[rows].isnan().all()


def test_what_memory_allowed_is_kept_for_the_next_shard(monkeypatch):
    features = features_of(spec_of(), batch_size=8, shard_bytes=9000)
    whole, tried = forward._forward, []

    def small_memory(model, rendered, responses, layers, pad_id):
        tried.append(len(responses))
        if len(responses) > 3:
            raise torch.OutOfMemoryError("CUDA")
        return whole(model, rendered, responses, layers, pad_id)

    monkeypatch.setattr(forward, "_forward", small_memory)
    for number in range(len(features.shards)):
        features.read(number)
    assert features.batch_size == 2
    assert [size for size in tried if size > 3] == tried[: sum(size > 3 for size in tried)]


def test_a_batch_is_converted_in_pieces(monkeypatch):
    """The same features, from no more rows at once than a piece has."""
    spec = spec_of(projection=random_projection(1, 128))
    expected = features_of(spec).read(0).states
    rows = []
    apply = Projection.apply
    monkeypatch.setattr(
        Projection, "apply", lambda self, x: rows.append(len(x[0])) or apply(self, x)
    )
    monkeypatch.setattr(features_module, "PIECE_TOKENS", 5)
    torch.testing.assert_close(features_of(spec).read(0).states, expected, rtol=1e-5, atol=1e-5)
    assert max(rows) == 5 and sum(rows) == len(expected)


def test_the_projection_is_moved_once(monkeypatch):
    moves = []
    whole = Projection.to
    monkeypatch.setattr(
        Projection, "to", lambda self, device: moves.append(device) or whole(self, device)
    )
    features = features_of(spec_of(projection=random_projection(1, 128)), shard_bytes=500)
    for number in range(len(features.shards)):
        features.read(number)
    assert len(features.shards) > 1 and moves == [torch.device("cpu")]
    scaling = random_scaling(4).to(torch.device("meta"))
    assert {tensor.device.type for tensor in scaling} == {"meta"}
    moved = random_projection(1, 128).to(torch.device("meta"))
    assert {tensor.device.type for tensor in moved} == {"meta"}


def test_what_hardly_moves_is_not_blown_up():
    states = torch.full((3000, 2), 7.0)
    states[:, 1] = torch.arange(3000.0)
    mean, deviation = divide_moments(sum_moments(states), 3000)
    assert mean[0] == 7 and deviation[0] == torch.tensor(DEVIATION_FLOOR)
    torch.testing.assert_close(deviation[1], states[:, 1].std(correction=0), rtol=1e-5, atol=0)


def test_spec_of_a_model():
    spec = feature_spec(shared_model(), None, "fed", None, is_projected=False)
    assert (spec.model, spec.num_layers, spec.hidden_size) == ("tiny/llama", 4, 32)
    assert (spec.layers, spec.dtype, spec.dim, spec.token_bytes) == ((0, 1, 2, 3), "bfloat16", *D)
    assert feature_spec(shared_model(), [1], "fed", None, is_projected=True).dtype == "float16"
    for arguments, message in (
        (([4], "fed", None), "layers is"),
        (([2, 1], "fed", None), "layers is"),
        ((None, "all", None), "scored_tokens"),
        ((None, "fed", "int8"), "dtype"),
    ):
        with pytest.raises(ValueError, match=message):
            feature_spec(shared_model(), *arguments, is_projected=False)


D = (128, 256)


def test_of_a_file(tmp_path):
    path = write_candidates(tmp_path / "a.jsonl", FEW_PROMPTS)
    features = stream_features(shared_model(), tiny_tokenizer(), path, layers=[2], batch_size=3)
    assert features.spec == spec_of(layers=[2])
    expected = expected_features(features.spec)
    assert_same_features(features_by_prompt(features, FEW_PROMPTS), expected, rtol=1e-4, atol=1e-4)
    other = write_candidates(tmp_path / "b.jsonl", FEW_PROMPTS, model="other/model")
    with pytest.raises(ValueError, match="written by the model 'other/model'"):
        stream_features(shared_model(), tiny_tokenizer(), other)
    with pytest.raises(ValueError, match="batch_size is 0"):
        stream_features(shared_model(), tiny_tokenizer(), path, batch_size=0)
