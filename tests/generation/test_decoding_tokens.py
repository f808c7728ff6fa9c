"""Which tokens `BestOfNDecoding` scores: those up to where each candidate ends, however it ends."""

import pytest
import torch
from transformers import LogitsProcessor, StoppingCriteria, StopStringCriteria
from transformers.generation.utils import DeferredStopCheck

from decoding_cases import (
    MANY_EOS,
    PROMPT_LENGTH,
    SCORED_TOKENS,
    assert_scored,
    generate,
    make_head,
    offline_scores,
    responses,
)
from model_probes import TokenCounter
from tiny_models import EOS, tiny_model, tiny_tokenizer


class Boost(LogitsProcessor):
    """Makes some tokens likely."""

    def __init__(self, token_ids, by=6.0):
        self.token_ids, self.by = token_ids, by

    def __call__(self, input_ids, scores):
        scores = scores.clone()
        scores[:, self.token_ids] += self.by
        return scores


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
@pytest.mark.parametrize("pad_token_id", [7, EOS], ids=["pad-is-a-word", "pad-is-eos"])
def test_sampled_tokens_that_equal_the_pad_token_count(pad_token_id, scored_tokens):
    model, head = tiny_model("llama"), make_head(scored_tokens)
    output = generate(
        model,
        head,
        num_return_sequences=8,
        eos_token_id=[EOS, 9],
        pad_token_id=pad_token_id,
        logits_processor=[Boost([7, EOS, 9], by=4.0)],
    )

    def ends(ids):
        return ids[-1] in (EOS, 9)

    cut = responses(output, ends)
    assert any(pad_token_id in response for response in cut)
    assert any(len(response) < 8 for response in cut)
    if pad_token_id == EOS:
        assert any(response[-1] == EOS and len(response) < 8 for response in cut)
    assert_scored(model, head, output, ends)


@pytest.mark.parametrize("eos_token_id", [None, MANY_EOS], ids=["no-eos", "eos"])
@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_stop_strings(scored_tokens, eos_token_id):
    model, head, tokenizer = tiny_model("llama"), make_head(scored_tokens), tiny_tokenizer()
    stop_strings = ["ab", "B", "he"]
    output = generate(
        model,
        head,
        num_return_sequences=8,
        eos_token_id=eos_token_id,
        logits_processor=[Boost(tokenizer("abheB")["input_ids"], by=1.5)],
        stopping_criteria=[StopStringCriteria(tokenizer, stop_strings)],
    )

    def ends(ids):
        text = tokenizer.decode(ids)
        return any(stop in text for stop in stop_strings) or (
            eos_token_id is not None and ids[-1] in eos_token_id
        )

    cut = responses(output, ends)
    assert len({len(response) for response in cut}) > 2
    assert_scored(model, head, output, ends)


class EndAtTurns(StoppingCriteria):
    """Row r ends after `turns[r]` tokens, and says so only once."""

    def __init__(self, turns):
        self.turns = torch.tensor(turns)

    def __call__(self, input_ids, scores, **kwargs):
        return self.turns == input_ids.shape[1] - PROMPT_LENGTH


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_a_stopping_criterion_of_ones_own_that_takes_it_back(scored_tokens):
    model, head = tiny_model("gpt2"), make_head(scored_tokens)
    turns = [3, 8, 1, 2, 5, 8]
    output = generate(model, head, stopping_criteria=[EndAtTurns(turns)])
    cut = [ids[:turn] for ids, turn in zip(responses(output), turns, strict=True)]
    expected = offline_scores(model, head, cut)
    torch.testing.assert_close(output.candidate_scores, expected, rtol=1e-5, atol=1e-5)
    assert expected[2].isneginf() == (scored_tokens == "fed")  # its one token was never fed


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_all_candidates_end_before_the_limit(scored_tokens):
    model, head = tiny_model("llama"), make_head(scored_tokens)
    turns = [3, 2, 1, 2, 3, 4]
    output = generate(model, head, stopping_criteria=[EndAtTurns(turns)])
    assert output.candidate_sequences.shape[1] == PROMPT_LENGTH + 4
    cut = [ids[:turn] for ids, turn in zip(responses(output), turns, strict=True)]
    expected = offline_scores(model, head, cut)
    torch.testing.assert_close(output.candidate_scores, expected, rtol=1e-5, atol=1e-5)


class NoEvent:
    """CUDA and MPS have events to wait for, the CPU needs none."""

    def __init__(self, *args, **kwargs):
        pass

    def record(self):
        pass

    synchronize = record


@pytest.mark.parametrize("turns", [[3, 2, 1, 2, 3, 4], [8] * 6], ids=["early", "at-limit"])
@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_a_stop_that_is_noticed_one_step_late(scored_tokens, turns, monkeypatch):
    """On MPS `generate` feeds one token more than it returns."""
    monkeypatch.setattr(torch, "Event", NoEvent)
    monkeypatch.setattr(DeferredStopCheck, "is_supported", staticmethod(lambda *a, **k: True))
    model, head = tiny_model("llama"), make_head(scored_tokens)
    counter = TokenCounter(model)
    output = generate(model, head, stopping_criteria=[EndAtTurns(turns)])
    num_fed = 7 + (scored_tokens == "response") if max(turns) == 8 else max(turns)
    assert counter.num_tokens == len(turns) * (PROMPT_LENGTH + num_fed)
    assert output.candidate_sequences.shape[1] == PROMPT_LENGTH + max(turns)
    cut = [ids[:turn] for ids, turn in zip(responses(output), turns, strict=True)]
    expected = offline_scores(model, head, cut)
    torch.testing.assert_close(output.candidate_scores, expected, rtol=1e-5, atol=1e-5)
