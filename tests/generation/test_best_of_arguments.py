"""Arguments of `generate` that pass through `best_of_n`."""

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria, StoppingCriteriaList

from best_of_cases import (
    MANY_EOS,
    PROMPTS,
    N,
    assert_same,
    candidates_of,
    offline,
    prompt_ids,
    run,
    said,
)
from decoding_cases import make_head
from swift_bon import best_of_n
from tiny_models import BOS, EOS, tiny_model, tiny_tokenizer

STOPS = ["a", "B", "he", "I"]


def assert_stopped(results, tokenizer):
    every = candidates_of(results)
    stopped = [any(stop in tokenizer.decode(c.token_ids) for stop in STOPS) for c in every]
    for candidate, is_stopped in zip(every, stopped, strict=True):
        assert not any(stop in tokenizer.decode(candidate.token_ids[:-1]) for stop in STOPS)
        assert is_stopped or len(candidate.token_ids) == 8
    assert True in stopped
    assert False in stopped


def test_stop_strings():
    tokenizer, options = tiny_tokenizer(), {"num_return_sequences": 8, "eos_token_id": None}
    results = run(stop_strings=STOPS, **options)
    assert_stopped(results, tokenizer)
    config = GenerationConfig(stop_strings=STOPS, do_sample=True)
    assert_same(run(generation_config=config, **options), results)
    assert config.stop_strings == STOPS  # the caller's is left as it was
    model = tiny_model("llama")
    model.generation_config.stop_strings = STOPS
    assert_same(run(model, **options), results)
    assert model.generation_config.stop_strings == STOPS
    one = run(stop_strings="a", **options)
    assert any(c.token_ids[-1:] == tokenizer("a")["input_ids"] for c in candidates_of(one))
    for text in (c.text for c in candidates_of(one)):
        assert "a" not in text[:-1]


class StopAfter(StoppingCriteria):
    def __init__(self, length):
        self.length, self.start = length, None

    def __call__(self, input_ids, scores, **kwargs):
        self.start = self.start or input_ids.shape[1]
        is_done = input_ids.shape[1] - self.start + 1 >= self.length
        return torch.full((len(input_ids),), is_done)


def test_stopping_criteria_of_ones_own_beside_stop_strings():
    options = {"num_return_sequences": 8, "eos_token_id": None}
    criteria = StoppingCriteriaList([StopAfter(3)])
    results = run(stopping_criteria=criteria, stop_strings=STOPS, **options)
    assert len(criteria) == 1  # the caller's list is left as it was
    lengths = {len(ids) for ids in said(results)}
    assert max(lengths) == 3
    assert len(lengths) > 1
    for length in lengths - {3}:
        assert [ids[:length] for ids in said(results)] == [
            ids[:length] for ids in said(run(stop_strings=STOPS, max_new_tokens=3, **options))
        ]
    assert {len(ids) for ids in said(run(stopping_criteria=[StopAfter(2)], **options))} == {2}


class Forbid(LogitsProcessor):
    def __init__(self, token_ids):
        self.token_ids = token_ids

    def __call__(self, input_ids, scores):
        scores = scores.clone()
        scores[:, self.token_ids] = -float("inf")
        return scores


def test_logits_processors_of_ones_own():
    allowed = {10, 20, 30, EOS}
    forbid = Forbid([token for token in range(64) if token not in allowed])
    results = run(logits_processor=[forbid], num_return_sequences=8)
    assert set().union(*said(results)) == allowed
    model = tiny_model("llama")  # the log-probabilities stay those of the model
    (result,) = run(model, "No", logits_processor=[forbid])
    for candidate in result.candidates:
        _, mean_logprob = offline(model, make_head(), "No", candidate.token_ids)
        assert candidate.mean_logprob == pytest.approx(mean_logprob, rel=1e-4)


def test_generation_config():
    config = GenerationConfig(
        do_sample=True, max_new_tokens=5, top_k=3, temperature=0.6, eos_token_id=MANY_EOS
    )
    before = config.to_dict()
    results = best_of_n(
        tiny_model("llama"),
        tiny_tokenizer(),
        PROMPTS,
        make_head(),
        N,
        seed=0,
        generation_config=config,
    )
    assert config.to_dict() == before
    expected = run(max_new_tokens=5, top_k=3, temperature=0.6)
    assert_same(results, expected)
    assert max(map(len, said(results))) <= 5
    plain = run(max_new_tokens=5)
    assert said(plain) != said(expected)


def test_sampling_is_on_unless_a_config_says_no():
    config = GenerationConfig(max_new_tokens=8, eos_token_id=MANY_EOS)
    assert_same(run(generation_config=config), run())
    config = GenerationConfig(do_sample=False)
    with pytest.raises(ValueError, match="do_sample is False"):
        run(generation_config=config)


@pytest.mark.parametrize(
    "options",
    [
        {"use_cache": False},
        {"prefill_chunk_size": 3},
        {"cache_implementation": "static"},
        {"num_beams": 1, "guidance_scale": 1.0, "assistant_model": None},
        {"output_scores": True, "return_dict_in_generate": False},
    ],
    ids=str,
)
def test_arguments_that_change_nothing(options):
    assert_same(run(**options), run())


def test_greedy_decoding_of_one_candidate():
    model = tiny_model("llama")
    results = run(model, do_sample=False, num_return_sequences=1, eos_token_id=None)
    for prompt, result in zip(PROMPTS, results, strict=True):
        ids = prompt_ids(prompt)
        for _ in range(8):
            with torch.no_grad():
                ids = [*ids, int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())]
        assert result.candidates[0].token_ids == ids[-8:]
    with pytest.raises(ValueError, match=r"do_sample is False and num_return_sequences 4.*pass do"):
        run(model, do_sample=False)


def test_the_model_is_left_as_it_was():
    model = tiny_model("llama")
    before = model.generation_config.to_dict()
    run(model, temperature=0.5)
    assert model.generation_config.to_dict() == before
    assert not model.training
    torch.manual_seed(0)
    sampled = model.generate(torch.tensor([[BOS, 5]]), do_sample=True, max_new_tokens=4)
    torch.manual_seed(0)
    fresh = tiny_model("llama")
    torch.manual_seed(0)
    expected = fresh.generate(torch.tensor([[BOS, 5]]), do_sample=True, max_new_tokens=4)
    assert torch.equal(sampled, expected)
