"""What `best_of_n` gives back, for prompts in every form."""

import dataclasses

import pytest
from transformers import LogitsProcessor

from best_of_cases import (
    MANY_EOS,
    PROMPTS,
    N,
    Recorder,
    assert_same,
    candidates_of,
    chat,
    offline,
    prompt_ids,
    run,
    said,
)
from decoding_cases import make_head
from tiny_models import EOS, PAD, tiny_model, tiny_tokenizer


def test_results_are_those_of_an_offline_forward():
    for name in ("llama", "gemma3", "gpt2", "mistral", "mixtral", "opt", "lfm2"):
        for scored_tokens in ("fed", "response"):
            model, head = tiny_model(name), make_head(scored_tokens=scored_tokens)
            results = run(model, head=head)
            assert len(results) == len(PROMPTS)
            for prompt, result in zip(PROMPTS, results, strict=True):
                assert len(result.candidates) == N
                for candidate in result.candidates:
                    score, mean_logprob = offline(model, head, prompt, candidate.token_ids)
                    label = f"{name} {scored_tokens} {candidate}"
                    assert candidate.score == pytest.approx(score, rel=1e-4, abs=3e-5), label
                    assert candidate.mean_logprob == pytest.approx(mean_logprob, rel=1e-4), label


def test_the_pick_is_the_candidate_of_the_highest_score():
    results = run(num_return_sequences=6)
    for result in results:
        assert len(result.candidates) == 6
        best = max(result.candidates, key=lambda candidate: candidate.score)
        assert result.candidates[result.index] is best
        assert (result.text, result.score) == (best.text, best.score)
    assert len({result.index for result in results}) > 1


def test_token_ids_have_the_ending_token_and_no_padding():
    tokenizer = tiny_tokenizer()
    every = candidates_of(run(num_return_sequences=12))
    for candidate in every:
        *body, last = candidate.token_ids
        assert not set(body) & set(MANY_EOS)
        assert last in MANY_EOS or len(candidate.token_ids) == 8
        assert candidate.text == tokenizer.decode(candidate.token_ids, skip_special_tokens=True)
        assert all(isinstance(token, int) for token in candidate.token_ids)
        assert type(candidate.score) is type(candidate.mean_logprob) is float
    lengths = {len(candidate.token_ids) for candidate in every}
    assert {1, 8} < lengths
    assert any(EOS in candidate.token_ids for candidate in every)


class Boost(LogitsProcessor):
    def __init__(self, token_ids, by):
        self.token_ids, self.by = token_ids, by

    def __call__(self, input_ids, scores):
        scores[:, self.token_ids] += self.by  # in place, as many processors people write do
        return scores


def test_a_sampled_pad_token_is_kept_in_the_middle():
    every = said(run(logits_processor=[Boost([PAD], 5.0)], num_return_sequences=8))
    assert any(PAD in ids[:-1] for ids in every)
    assert any(ids[-1] in MANY_EOS for ids in every)


def test_results_are_frozen():
    (result,) = run(prompts="No")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.text = "x"
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.candidates[0].score = 1.0


@pytest.mark.parametrize(
    "prompts",
    [
        pytest.param("Hello you", id="string"),
        pytest.param(["Hello you"], id="strings"),
        pytest.param(("Hello you",), id="tuple"),
        pytest.param(chat("Hello you"), id="chat"),
        pytest.param([chat("Hello you")], id="chats"),
        pytest.param([tuple(chat("Hello you"))], id="chat-as-tuple"),
    ],
)
def test_one_prompt_in_every_form(prompts):
    assert_same(run(prompts=prompts), run(prompts=["Hello you"]))


def test_strings_and_chats_mixed():
    turns = [*chat("Hello"), {"role": "assistant", "content": "you"}, *chat("What?")]
    results = run(prompts=["Hello you", turns])
    assert len(results) == 2
    assert_same(results[:1], run(prompts="Hello you"))


def test_no_prompts_no_results():
    assert run(prompts=[]) == []


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_prompts_go_through_the_chat_template_and_are_padded_on_the_left(padding_side):
    tokenizer, recorder = tiny_tokenizer(), Recorder()
    tokenizer.padding_side = padding_side
    run(tokenizer=tokenizer, logits_processor=[recorder])
    length = max(len(prompt_ids(prompt)) for prompt in PROMPTS)
    expected = []
    for prompt in PROMPTS:
        ids = prompt_ids(prompt)
        expected += [[PAD] * (length - len(ids)) + ids] * N
    assert recorder.seen[0].tolist() == expected


def test_a_tokenizer_without_pad_and_end_tokens():
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    with_end_token = run(tokenizer=tokenizer)
    tokenizer.eos_token = None
    without = run(tokenizer=tokenizer)
    expected = said(run())
    assert said(with_end_token) == said(without) == expected
