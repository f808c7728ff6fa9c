"""One forward over stored candidates: the states are the model's own, whatever the batch."""

import pytest
import torch

from feature_cases import own_states, random_prompts, shared_model
from swift_bon.models import forward, response_runs
from swift_bon.models.forward import (
    Response,
    count_scored_tokens,
    num_scored_tokens,
    response_states,
)
from swift_bon.models.prompts import render_prompts
from tiny_models import PAD, tiny_tokenizer

PROMPTS = random_prompts(7)
ALL_LAYERS = (0, 1, 2, 3)


def run(model, *, scored_tokens="fed", layers=ALL_LAYERS, batch_size=5, prompts=PROMPTS):
    """`[L, tokens, H]` of each response that came back, by its index; and the batches."""
    chats = [[{"role": "user", "content": prompt.prompt}] for prompt in prompts]
    responses = [
        Response(position, c.token_ids, num_scored_tokens(len(c.token_ids), scored_tokens))
        for position, prompt in enumerate(prompts)
        for c in prompt.candidates
    ]
    captured, batches = {}, []
    for batch, states, _ in response_states(
        model,
        render_prompts(tiny_tokenizer(), chats),
        responses,
        layers=layers,
        pad_id=PAD,
        batch_size=batch_size,
    ):
        lengths = [responses[index].num_scored for index in batch]
        assert not captured.keys() & set(batch)
        captured |= dict(zip(batch, torch.stack(states).split(lengths, dim=1), strict=True))
        batches.append(batch)
    return captured, batches, responses


@pytest.mark.parametrize("scored_tokens", ["fed", "response"])
@pytest.mark.parametrize(
    "name", ["llama", "gpt2", "gemma3", "mixtral", "opt", "bloom", "gptj", "lfm2", "gpt_oss"]
)
def test_states_are_the_models_own(name, scored_tokens):
    """Prompts of unequal length side by side, one prefill for the candidates of each."""
    model = shared_model(name)
    captured, _, responses = run(model, scored_tokens=scored_tokens)
    expected = [s for prompt in PROMPTS for s in own_states(model, prompt, scored_tokens)]
    assert sorted(captured) == [index for index, states in enumerate(expected) if states.shape[1]]
    assert len(expected) == len(responses)
    for index, states in captured.items():
        torch.testing.assert_close(states, expected[index], rtol=1e-4, atol=1e-4)


def test_prompts_have_what_the_tests_need():
    lengths = {
        len(ids)
        for ids in render_prompts(
            tiny_tokenizer(), [[{"role": "user", "content": prompt.prompt}] for prompt in PROMPTS]
        )
    }
    assert len(lengths) > 3
    assert {len(prompt.candidates) for prompt in PROMPTS} == {1, 2, 3, 4}
    assert min(len(c.token_ids) for prompt in PROMPTS for c in prompt.candidates) == 1


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_any_batch_gives_the_same_states(batch_size):
    expected, _, responses = run(shared_model(), batch_size=5)
    captured, batches, _ = run(shared_model(), batch_size=batch_size)
    assert max(map(len, batches)) == min(batch_size, len(expected))
    assert captured.keys() == expected.keys()
    for index in expected:
        torch.testing.assert_close(captured[index], expected[index], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layers", [(0,), (3,), (1, 3)])
def test_selected_layers(layers):
    expected, _, _ = run(shared_model())
    captured, _, _ = run(shared_model(), layers=layers)
    for index in expected:
        assert torch.equal(captured[index], expected[index][list(layers)])


def test_prompts_are_filled_in_once(monkeypatch):
    """All but the last token of each prompt: the rest is fed for every candidate."""
    filled = []
    fill_prompts = response_runs.fill_prompts

    def record(decoder, input_ids, attention_mask, rows):
        prefix = fill_prompts(decoder, input_ids, attention_mask, rows)
        filled.append((input_ids.shape[0], len(rows), bool(prefix)))
        return prefix

    monkeypatch.setattr(response_runs, "fill_prompts", record)
    shared, _, _ = run(shared_model(), batch_size=100, scored_tokens="response")
    num_candidates = sum(len(prompt.candidates) for prompt in PROMPTS)
    assert filled == [(len(PROMPTS), num_candidates, True)]
    monkeypatch.setattr(response_runs, "fill_prompts", lambda *args, **kwargs: {})
    alone, _, _ = run(shared_model(), batch_size=100, scored_tokens="response")
    for index in shared:
        torch.testing.assert_close(shared[index], alone[index], rtol=1e-5, atol=1e-5)


def test_batches_are_of_one_length_and_keep_prompts_together():
    _, batches, responses = run(shared_model(), batch_size=1, scored_tokens="response")
    order = [responses[index].prompt for (index,) in batches]
    seen = list(dict.fromkeys(order))
    assert order == [prompt for prompt in seen for other in order if other == prompt]
    longest = []
    for prompt in seen:
        chat = [{"role": "user", "content": PROMPTS[prompt].prompt}]
        lengths = [len(c.token_ids) for c in PROMPTS[prompt].candidates]
        longest.append(len(render_prompts(tiny_tokenizer(), [chat])[0]) + max(lengths))
    assert longest == sorted(longest)


def test_without_scored_tokens_the_model_does_not_run(monkeypatch):
    monkeypatch.setattr(forward, "_forward", None)
    only = [p.__class__(p.id, p.prompt, p.reference, p.candidates[-1:]) for p in PROMPTS[::3]]
    assert all(len(candidate.token_ids) == 1 for p in only for candidate in p.candidates)
    captured, batches, _ = run(shared_model(), prompts=only)
    assert not captured and not batches


def test_counts():
    assert [num_scored_tokens(n, "fed") for n in (0, 1, 2, 9)] == [0, 0, 1, 8]
    assert [num_scored_tokens(n, "response") for n in (0, 1, 2, 9)] == [0, 1, 2, 9]
    lengths = [len(c.token_ids) for prompt in PROMPTS for c in prompt.candidates]
    assert count_scored_tokens(PROMPTS, "response") == sum(lengths)
    assert count_scored_tokens(PROMPTS, "fed") == sum(lengths) - len(lengths)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPU: can't allocate memory")]
)
def test_out_of_memory_halves_the_batch(monkeypatch, error):
    expected, _, _ = run(shared_model(), batch_size=3)
    whole, tried = forward._forward, []

    def small_memory(model, rendered, responses, layers, pad_id):
        tried.append(len(responses))
        if len(responses) > 3:
            raise error
        return whole(model, rendered, responses, layers, pad_id)

    monkeypatch.setattr(forward, "_forward", small_memory)
    captured, batches, _ = run(shared_model(), batch_size=12)
    assert tried[:3] == [min(12, len(expected)), 6, 3]
    assert max(tried[3:]) == 3  # it does not try again
    assert captured.keys() == expected.keys()
    for index in expected:
        torch.testing.assert_close(captured[index], expected[index], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("error", "tries"), [(torch.OutOfMemoryError("CUDA"), 3), (RuntimeError("other"), 1)]
)
def test_what_no_smaller_batch_would_help(monkeypatch, error, tries):
    tried = []

    def fail(model, rendered, responses, layers, pad_id):
        tried.append(len(responses))
        raise error

    monkeypatch.setattr(forward, "_forward", fail)
    with pytest.raises(type(error), match=str(error)):
        run(shared_model(), batch_size=4)
    assert tried == [4, 2, 1][:tries]
