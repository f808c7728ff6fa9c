"""A head's scores: states that are not finite, no memory, candidates that do not fit."""

import dataclasses

import pytest
import torch

from added_cases import write
from feature_cases import RARE_TOKEN, named_model
from head_score_cases import head_of, score
from scoring_cases import texted_prompts
from swift_bon.candidates.files import append_candidates, read_candidates
from swift_bon.candidates.records import StoredCandidate
from swift_bon.models.forward import num_scored_tokens
from swift_kernels import RewardHead
from tiny_models import EOS, VOCAB

PROMPTS = texted_prompts(6)


def test_states_that_are_not_finite(tmp_path):
    """They cost their own candidate its score, and nobody else's."""
    model = named_model()
    model.get_input_embeddings().weight.data[RARE_TOKEN, 3] = float("nan")
    bad = StoredCandidate("a?b", [VOCAB["a"], RARE_TOKEN, VOCAB["b"], EOS], False)
    prompts = list(PROMPTS)
    prompts[3] = dataclasses.replace(PROMPTS[3], candidates=[*PROMPTS[3].candidates, bad])
    path = write(tmp_path, prompts)
    added = score(path, head_of(), model)
    scored = read_candidates(path)
    assert "swift" not in scored[3].candidates[-1].scores
    tokens = scored[3].candidates[-1].token_scores
    assert tokens.rewards == tokens.gates == [None] * 4  # attention carries it to all
    others = [c for prompt in scored for c in prompt.candidates if c.text != bad.text]
    num_without = sum(len(c.token_ids) < 2 or RARE_TOKEN in c.token_ids for c in others)
    assert len(others) - num_without > 5
    assert sum("swift" not in c.scores for c in others) == num_without
    assert added.num_not_finite == num_without + 1


def test_candidates_without_tokens(tmp_path):
    """As an import may leave them: there is nothing to run the model on."""
    bare = [dataclasses.replace(c, token_ids=[]) for c in PROMPTS[1].candidates]
    path = write(tmp_path, [PROMPTS[0], dataclasses.replace(PROMPTS[1], candidates=bare)])
    added = score(path, head_of(scored_tokens="response"))
    assert (added.num_prompts, added.num_skipped) == (1, 1)
    assert [c.token_scores for c in read_candidates(path)[1].candidates] == [None] * len(bare)
    mixed = dataclasses.replace(PROMPTS[2], candidates=[bare[0], *PROMPTS[2].candidates])
    append_candidates(path, [mixed])
    added = score(path, head_of(scored_tokens="response"))
    assert (added.num_prompts, added.num_not_finite) == (1, 1)
    first, *rest = read_candidates(path)[2].candidates
    assert first.scores == {} and first.token_scores is None
    assert all("swift" in candidate.scores for candidate in rest)


def test_out_of_memory_halves_the_batch_for_good(path, forwarded, monkeypatch):
    from swift_bon.models import forward

    run = forward._forward

    failed = []

    def forward_with_little_room(model, rendered, responses, layers, pad_id):
        if len(responses) > 3:
            failed.append(len(responses))
            raise torch.OutOfMemoryError("no room")
        return run(model, rendered, responses, layers, pad_id)

    monkeypatch.setattr(forward, "_forward", forward_with_little_room)
    monkeypatch.setattr("swift_bon.collection.added_scores.WINDOW_BATCHES", 1)
    append_candidates(path, [dataclasses.replace(p, id=f"{p.id}/2") for p in PROMPTS])
    score(path, head_of(), batch_size=8)
    assert len(failed) == 1 or failed == [8, 4]
    assert max(forwarded) <= 3
    expected = [
        num_scored_tokens(len(c.token_ids), "fed") > 0 for p in PROMPTS for c in p.candidates
    ]
    assert sum(forwarded) == 2 * sum(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "tiny/qwen2"}, "was written by the model 'tiny/qwen2', this one is 'tiny/ll"),
        ({"head": RewardHead(5, 32)}, "head expects 5 hidden states"),
        ({"head": RewardHead(4, 32, base_model="tiny/gpt2")}, "head was trained for the model"),
        ({"token_ids": [64]}, "candidate 1 of prompt '.*' has token ids from 64"),
        ({"token_ids": [7] * 500}, "candidate 1 of prompt '.*' has 500 tokens after"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"name": "entropy"}, "name is 'entropy', which is lowest mean entropy"),
    ],
    ids=["model", "shape", "base-model", "vocabulary", "context", "batch", "name"],
)
def test_refusals_change_nothing(tmp_path, forwarded, change, message):
    first, second, *_ = PROMPTS[2].candidates
    second = dataclasses.replace(second, token_ids=change.pop("token_ids", second.token_ids))
    prompts = [*PROMPTS[:2], dataclasses.replace(PROMPTS[2], candidates=[first, second])]
    path = write(tmp_path, prompts, model=change.pop("model", "tiny/llama"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        score(path, **{"head": head_of(), **change})
    assert path.read_bytes() == before
    assert not forwarded
    assert {file.suffix for file in tmp_path.iterdir()} <= {".jsonl", ".json", ".lock"}


def test_not_a_head(path):
    with pytest.raises(TypeError, match="head is str"):
        score(path, "my-head")
