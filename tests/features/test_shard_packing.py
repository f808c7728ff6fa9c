"""Which prompts lie in which shard, where the model makes the features."""

import torch

from feature_cases import FEW_PROMPTS, features_of, random_prompts, spec_of
from swift_bon.features import model_features
from swift_bon.features import shards as packing
from swift_bon.features.shards import sum_moments


def test_shards_hold_every_prompt_once_and_as_much_as_asked():
    spec = spec_of()
    shards = features_of(spec, shard_bytes=9000).shards
    assert sorted(p for shard in shards for p in shard.prompts) == list(range(len(FEW_PROMPTS)))
    assert len(shards) > 3
    for shard in shards:
        assert shard.num_candidates == [len(FEW_PROMPTS[p].candidates) for p in shard.prompts]
        lengths = [[len(c.token_ids) - 1 for c in FEW_PROMPTS[p].candidates] for p in shard.prompts]
        assert shard.num_tokens == sum(map(sum, lengths))
        assert (shard.num_tokens - sum(lengths[-1])) * spec.token_bytes < 9000
    assert all(shard.num_tokens * spec.token_bytes >= 9000 for shard in shards[:-1])


def test_the_order_follows_from_the_ids():
    def ids(prompts):
        shards = features_of(spec_of(), prompts=prompts, shard_bytes=1).shards
        return [prompts[p].id for shard in shards for p in shard.prompts]

    assert ids(FEW_PROMPTS) == ids(FEW_PROMPTS[::-1])
    assert ids(FEW_PROMPTS) != [prompt.id for prompt in FEW_PROMPTS]
    assert ids(FEW_PROMPTS[:6]) == [
        name for name in ids(FEW_PROMPTS) if name in ids(FEW_PROMPTS[:6])
    ]


def test_a_shard_without_scored_tokens():
    (prompt,) = random_prompts(1)
    assert [len(candidate.token_ids) for candidate in prompt.candidates] == [1]
    states, offsets = features_of(spec_of(), prompts=[prompt]).read(0)
    assert states.shape == (0, 128)
    assert offsets.tolist() == [0, 0]
    assert sum_moments(states).tolist() == torch.zeros(2, 128).tolist()


def test_a_shard_holds_the_candidates_of_a_forward(monkeypatch):
    """Unless they take too much, or a size is asked for."""
    monkeypatch.setattr(model_features, "SHARD_BYTES", 1)
    whole = features_of(spec_of(), batch_size=6).shards
    assert len(whole) > 1
    assert all(sum(shard.num_candidates) >= 6 for shard in whole[:-1])
    assert all(sum(shard.num_candidates[:-1]) < 6 for shard in whole)
    monkeypatch.setattr(packing, "MAX_SHARD_BYTES", 600)
    few = features_of(spec_of(), batch_size=6).shards
    assert len(few) > len(whole)
    assert all(shard.num_tokens * spec_of().token_bytes >= 600 for shard in few[:-1])
    asked = features_of(spec_of(), batch_size=6, shard_bytes=1).shards
    assert max(len(shard.prompts) for shard in asked if shard.num_tokens) <= 2
