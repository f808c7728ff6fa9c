"""Which states are sampled: of many prompts, evenly spaced, on one device."""

import torch

from feature_cases import (
    features_of,
    long_prompts,
    spec_of,
)
from swift_bon.features import model_features, packed_states


def test_moments_are_of_all_tokens_or_of_enough(monkeypatch):
    features = features_of(spec_of(), shard_bytes=9000)
    values = torch.cat([features.read(n).states for n in range(len(features.shards))]).double()
    mean, deviation = features.moments()
    torch.testing.assert_close(mean.double(), values.mean(dim=0), rtol=1e-4, atol=1e-5)
    exact = values.std(dim=0, correction=0)
    torch.testing.assert_close(deviation.double(), exact, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(model_features, "SAMPLE_TOKENS", 30)
    few = torch.cat([torch.cat(layers, dim=1) for layers in features.sample(0)])
    assert 30 <= len(few) < len(values)
    torch.testing.assert_close(features.moments().mean, few.mean(dim=0), rtol=1e-4, atol=1e-5)


def drawn_by(features, monkeypatch, seed=0):
    """The responses of a sample, and how many tokens came of it."""
    drawn = []
    run = features.states
    with monkeypatch.context() as patch:
        patch.setattr(features, "states", lambda found: drawn.extend(found) or run(found))
        num_tokens = sum(len(layers[0]) for layers in features.sample(seed))
    return drawn, num_tokens


def test_a_sample_is_of_many_prompts(monkeypatch):
    """One candidate of each, round after round, a few tokens of each."""
    prompts = long_prompts(num_prompts=10, num_candidates=8, num_tokens=20)
    features = features_of(spec_of(), prompts=prompts)
    monkeypatch.setattr(packed_states, "RESPONSE_TOKENS", 6)
    monkeypatch.setattr(model_features, "SAMPLE_TOKENS", 6 * 8)
    drawn, num_tokens = drawn_by(features, monkeypatch)
    assert len({response.prompt for response in drawn}) == len(drawn) == 8
    assert num_tokens == 6 * 8
    other, _ = drawn_by(features, monkeypatch, seed=1)
    assert [r.prompt for r in other] != [r.prompt for r in drawn]
    monkeypatch.setattr(model_features, "SAMPLE_TOKENS", 6 * 25)
    drawn, num_tokens = drawn_by(features, monkeypatch)
    assert len({r.prompt for r in drawn[:10]}) == len({r.prompt for r in drawn[10:20]}) == 10
    assert len({(r.prompt, tuple(r.token_ids)) for r in drawn}) == len(drawn) == 25
    assert num_tokens == 6 * 25
    monkeypatch.setattr(model_features, "SAMPLE_TOKENS", 10**9)
    drawn, num_tokens = drawn_by(features, monkeypatch)
    assert len(drawn) == 80 and num_tokens == 6 * 80


def test_sampled_tokens_are_spaced_evenly(monkeypatch):
    monkeypatch.setattr(packed_states, "RESPONSE_TOKENS", 4)
    assert packed_states.thin([3, 8, 4]).tolist() == [0, 1, 2, 3, 5, 7, 9, 11, 12, 13, 14]
    assert packed_states.thin([10]).tolist() == [0, 2, 5, 7]


def test_a_sample_of_several_devices_is_moved_to_one(monkeypatch):
    features = features_of(spec_of())
    moved = []
    whole = torch.Tensor.to

    def record(self, *args, **kwargs):
        moved.append(args)
        return whole(self, *args, **kwargs)

    found = next(features.states(features.responses(1)))
    monkeypatch.setattr(features, "states", lambda responses: iter([found]))
    monkeypatch.setattr(torch.Tensor, "to", record)
    layers = next(features.sample(0))
    assert moved.count((found.layers[0].device,)) == 2 * len(layers)  # its rows, then itself
