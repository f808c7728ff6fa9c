"""A head's scores by a forward over stored candidates: those of the model's own states."""

import math

import pytest
import torch

from added_cases import write
from feature_cases import own_states, shared_model
from head_score_cases import head_of, score
from scoring_cases import texted_prompts
from swift_bon.candidates.files import read_candidates, read_header, replace_candidates
from swift_bon.collection import head_scores
from swift_bon.collection.runs import collect
from swift_bon.generation.token_scores import rounded
from swift_bon.models.forward import response_states
from swift_kernels import score_candidates, score_packed
from tiny_models import tiny_tokenizer

PROMPTS = texted_prompts(6)
HEADS = {
    "fed": {},
    "response": {"scored_tokens": "response"},
    "layers": {"layers": [0, 2]},
    "plain": {"gated": False},
}


def expected_of(model, head, prompt):
    """Score, rewards and gates of each candidate, from one forward each."""
    rows = []
    for states in own_states(model, prompt, head.scored_tokens):
        with torch.no_grad():
            values = score_candidates(states[:, None], head, return_token_scores=True)
        rows.append([values.scores.item(), values.rewards[0].tolist(), values.gates[0].tolist()])
    return rows


def close(values):
    return [v if v is None else pytest.approx(v, rel=1e-2, abs=1e-4) for v in values]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("case", HEADS)
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_scores_are_those_of_the_models_own_states(tmp_path, case, name, batch_size):
    path = write(tmp_path, PROMPTS, model=f"tiny/{name}")
    head = head_of(base_model=f"tiny/{name}", **HEADS[case])
    added = score(path, head, shared_model(name), batch_size=batch_size)
    num_without = 0
    for prompt, asked in zip(read_candidates(path), PROMPTS, strict=True):
        rows = expected_of(shared_model(name), head, asked)
        for candidate, given, row in zip(prompt.candidates, asked.candidates, rows, strict=True):
            assert (candidate.text, candidate.token_ids) == (given.text, given.token_ids)
            value, rewards, gates = row
            if math.isfinite(value):
                assert candidate.scores == {"swift": pytest.approx(value, rel=1e-4, abs=1e-5)}
            else:
                assert candidate.scores == {}
                num_without += 1
            tokens = candidate.token_scores
            rest = [None] * (len(candidate.token_ids) - len(rewards))
            assert len(rest) == (1 if head.scored_tokens == "fed" else 0)
            assert tokens.rewards == close(rewards + rest)
            assert tokens.gates == close(gates + rest)
            assert all(
                tokens.rewards[n] == rounded([tokens.rewards[n]])[0] for n in (0,) if rewards
            )
            assert tokens.lengths == [*[1] * len(candidate.text), 0]
    assert added.num_not_finite == num_without
    assert (num_without > 0) == (head.scored_tokens == "fed")
    assert added.has_token_scores and added.name == "swift"
    assert read_header(path)["added_scores"] == {"swift": {"head": head.digest()}}


def test_the_same_as_collect_stores(tmp_path):
    """With the head from the start, and without it at first."""
    head = head_of(base_model="tiny/llama")
    settings = {"limit": 4, "num_return_sequences": 3, "max_new_tokens": 6}
    model, tokenizer = shared_model(), tiny_tokenizer()
    collected = collect(model, tokenizer, tmp_path / "with.jsonl", head=head, **settings)
    path = tmp_path / "without.jsonl"
    collect(model, tokenizer, path, **settings)
    score(path, head)
    num_scored = 0
    for prompt, other in zip(read_candidates(path), collected, strict=True):
        for scored, candidate in zip(prompt.candidates, other.candidates, strict=True):
            assert scored.scores == pytest.approx(candidate.scores, rel=1e-3, abs=1e-4)
            num_scored += "swift" in scored.scores
            assert scored.token_scores.lengths == candidate.token_scores.lengths
            assert scored.token_scores.rewards == close(candidate.token_scores.rewards)
            assert scored.token_scores.gates == close(candidate.token_scores.gates)
    assert num_scored > 8
    before = path.read_bytes()
    collect(model, tokenizer, path, **settings)  # goes on: the header still fits
    assert path.read_bytes() == before
    with_head = tmp_path / "with.jsonl"
    before = with_head.read_bytes()
    added = score(with_head, head)
    assert (added.num_prompts, added.num_skipped) == (0, 4)
    assert with_head.read_bytes() == before


def test_collecting_more_then_scoring_again(tmp_path, forwarded):
    settings = {"num_return_sequences": 2, "max_new_tokens": 4}
    path = tmp_path / "a.jsonl"
    collect(shared_model(), tiny_tokenizer(), path, limit=3, **settings)
    score(path, head_of())
    first = read_candidates(path)
    collect(shared_model(), tiny_tokenizer(), path, limit=5, **settings)
    forwarded.clear()
    added = score(path, head_of())
    assert (added.num_prompts, added.num_skipped) == (2, 3)
    assert read_candidates(path)[:3] == first
    new = [c for prompt in read_candidates(path)[3:] for c in prompt.candidates]
    assert sum(forwarded) == sum(len(c.token_ids) > 1 for c in new)
    assert all(c.token_scores is not None for c in new)


def test_another_head_under_another_name(path):
    score(path, head_of())
    first = read_candidates(path)
    other = head_of(gated=False)
    with pytest.raises(ValueError, match="has scores named 'swift' of .*; choose another name"):
        score(path, other)
    assert not score(path, other, name="plain").has_token_scores
    for prompt, earlier in zip(read_candidates(path), first, strict=True):
        for candidate, before in zip(prompt.candidates, earlier.candidates, strict=True):
            assert candidate.token_scores == before.token_scores
            assert candidate.scores.keys() == before.scores.keys() | (
                {"plain"} if before.scores else set()
            )


def test_only_what_the_head_reads_is_kept(path, monkeypatch):
    layer_sets = []

    def record(*args, layers, **kwargs):
        layer_sets.append(layers)
        return response_states(*args, layers=layers, **kwargs)

    def without_gradients(*args, **kwargs):
        assert not torch.is_grad_enabled()  # or the states would be kept for them
        return score_packed(*args, **kwargs)

    monkeypatch.setattr(head_scores, "response_states", record)
    monkeypatch.setattr(head_scores, "score_packed", without_gradients)
    score(path, head_of(layers=[0, 2]))
    assert layer_sets == [(0, 2)]


def test_head_is_neither_moved_nor_asked_for_gradients(path):
    head = head_of()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    score(path, head)
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
    assert all(parameter.grad is None for parameter in head.parameters())


def test_a_resumed_run_gives_the_same_scores(tmp_path, path, monkeypatch):
    """To the bit where the windows are the same."""
    from swift_bon.collection.score_journal import ScoreJournal

    monkeypatch.setattr("swift_bon.collection.added_scores.WINDOW_BATCHES", 1)
    (tmp_path / "whole").mkdir()
    whole = write(tmp_path / "whole", PROMPTS)
    score(whole, head_of(), batch_size=4)
    append = ScoreJournal.append

    def append_then_die(self, prompts, rows):
        append(self, prompts, rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ScoreJournal, "append", append_then_die)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                score(path, head_of(), batch_size=4)
    score(path, head_of(), batch_size=4)
    assert path.read_bytes() == whole.read_bytes()
    replace_candidates(path, read_candidates(path))
    assert path.read_bytes() == whole.read_bytes()
