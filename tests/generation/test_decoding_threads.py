"""`BestOfNDecoding` in two threads, and one call inside another."""

import threading

import pytest
import torch
from transformers import LogitsProcessor, StoppingCriteria

from decoding_cases import PROMPTS, assert_scored, generate, make_head, pad_left
from swift_bon.generation.scored_decoding import ScoredDecoding
from swift_bon.models.capture import find_decoder_parts
from tiny_models import PAD, tiny_model


class InStep(LogitsProcessor):
    """Both threads sample each token at the same time."""

    def __init__(self, barrier):
        self.barrier = barrier

    def __call__(self, input_ids, scores):
        self.barrier.wait()
        return scores


@pytest.mark.parametrize("scored_tokens", [("fed", "fed"), ("fed", "response")], ids=str)
def test_two_threads_with_different_heads_on_one_model(scored_tokens):
    model = tiny_model("llama")
    heads = [make_head(scored_tokens[0]), make_head(scored_tokens[1], seed=9, layers=[0, 2])]
    prompts = [PROMPTS, [PROMPTS[1], PROMPTS[0], PROMPTS[1]]]
    results = [None, None]

    def work(index, processors=()):
        results[index] = model.generate(
            **pad_left(prompts[index]),
            custom_generate=ScoredDecoding(heads[index], seeds=range(len(prompts[index]) * 4)),
            do_sample=True,
            num_return_sequences=4,
            max_new_tokens=12,
            eos_token_id=None,
            pad_token_id=PAD,
            logits_processor=list(processors),
        )

    work(0), work(1)
    alone = results[:]
    barrier = threading.Barrier(2, timeout=60)
    threads = [threading.Thread(target=work, args=(i, [InStep(barrier)])) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
    for index in range(2):
        assert results[index] is not alone[index]
        assert torch.equal(results[index].output, alone[index].output)
        assert torch.equal(results[index].scores, alone[index].scores)


class GenerateInside(LogitsProcessor):
    def __init__(self, model, head):
        self.model, self.head = model, head

    def __call__(self, input_ids, scores):
        generate(self.model, self.head)
        return scores


def test_a_scored_call_inside_another_is_refused():
    model, head = tiny_model("llama"), make_head()
    with pytest.raises(RuntimeError, match="already being scored in this thread"):
        generate(model, head, logits_processor=[GenerateInside(model, make_head(seed=2))])
    assert_scored(model, head, generate(model, head))


class ModelInside(LogitsProcessor):
    def __init__(self, model):
        self.model = model

    def __call__(self, input_ids, scores):
        self.model(input_ids=input_ids)
        return scores


class ModelInsideCriterion(StoppingCriteria):
    def __init__(self, model):
        self.model = model

    def __call__(self, input_ids, scores, **kwargs):
        self.model(input_ids=input_ids)
        return torch.zeros(len(input_ids), dtype=torch.bool)


@pytest.mark.parametrize(
    ("argument", "inside"),
    [("logits_processor", ModelInside), ("stopping_criteria", ModelInsideCriterion)],
)
def test_a_processor_or_criterion_that_calls_the_model_is_refused(argument, inside):
    model, head = tiny_model("llama"), make_head()
    with pytest.raises(RuntimeError, match="ran twice for one token.*cannot be scored"):
        generate(model, head, **{argument: [inside(model)]})
    other = tiny_model("llama")  # another model may be called
    output = generate(model, head, **{argument: [inside(other)]})
    assert_scored(model, head, output)


def test_a_forward_that_runs_without_hooks_is_reported(monkeypatch):
    model, head = tiny_model("llama"), make_head()
    find_decoder_parts(model)
    monkeypatch.setattr(model.model, "_call_impl", model.model.forward)  # as compiled code does
    with pytest.raises(RuntimeError, match="ran without its hooks.*torch.compile"):
        generate(model, head)
