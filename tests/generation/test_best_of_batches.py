"""`best_of_n` gives the same candidates whatever the batch, and runs the model once."""

import pytest

from best_of_cases import PROMPTS, N, Recorder, assert_same, prompt_ids, run, said
from decoding_cases import make_head
from model_probes import TokenCounter
from tiny_models import tiny_model


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt_neox", "qwen3_moe", "lfm2"])
def test_any_batch_size_gives_the_same_candidates(name):
    model = tiny_model(name)
    expected = run(model)
    assert len({tuple(ids) for ids in said(expected)}) > N
    for batch_size in (1, 3, 5, len(PROMPTS) * N, 1000):
        assert_same(run(model, batch_size=batch_size), expected)


@pytest.mark.parametrize(("options", "sizes"), [({}, {64, 6}), ({"batch_size": None}, {70})])
def test_batches_where_none_is_asked_for(options, sizes):
    recorder = Recorder()
    run(prompts="No", num_return_sequences=70, logits_processor=[recorder], **options)
    assert {len(ids) for ids in recorder.seen} == sizes


def test_batches_are_no_larger_than_asked():
    recorder = Recorder()
    run(batch_size=5, logits_processor=[recorder])
    assert {len(ids) for ids in recorder.seen} == {5, 2}


def test_fewer_candidates_are_the_first_of_more():
    few, many = run(num_return_sequences=2), run(num_return_sequences=6)
    for ours, theirs in zip(few, many, strict=True):
        assert [c.token_ids for c in ours.candidates] == [
            c.token_ids for c in theirs.candidates[:2]
        ]


@pytest.mark.parametrize("scored_tokens", ["fed", "response"])
def test_no_second_forward_pass(scored_tokens):
    model = tiny_model("llama")
    counter = TokenCounter(model)
    run(model, head=make_head(scored_tokens=scored_tokens), eos_token_id=None)
    length = max(len(prompt_ids(prompt)) for prompt in PROMPTS)
    num_fed = 8 if scored_tokens == "response" else 7
    once = len(PROMPTS) * (length - 1)  # prompts are shared by their candidates, but for one token
    assert counter.num_tokens <= once + len(PROMPTS) * N * (1 + num_fed)
