"""What the tests of `best_of_n` share: prompts, a run with defaults, and what was said in it."""

import pytest
import torch
from transformers import LogitsProcessor

from decoding_cases import make_head
from swift_bon import BestOfN, Candidate, best_of_n
from swift_kernels import score_candidates
from tiny_models import EOS, tiny_model, tiny_tokenizer

PROMPTS = ["Hello you", "What is it?", "No"]  # of different lengths
MANY_EOS = list(range(EOS, 64, 5))
N = 4


def run(model=None, prompts=PROMPTS, head=None, tokenizer=None, **kwargs) -> list[BestOfN]:
    arguments = {"num_return_sequences": N, "seed": 0, "max_new_tokens": 8}
    return best_of_n(
        model or tiny_model("llama"),
        tokenizer or tiny_tokenizer(),
        prompts,
        head or make_head(),
        **{**arguments, "eos_token_id": MANY_EOS, **kwargs},
    )


def chat(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def prompt_ids(text: str) -> list[int]:
    """As the chat template of the tiny tokenizer has it."""
    tokenizer = tiny_tokenizer()
    ids = tokenizer(f"<user>{text}</s><assistant>", add_special_tokens=False)["input_ids"]
    assert ids[0] == 4
    assert ids[-2:] == [EOS, 5]
    return ids


def candidates_of(results: list[BestOfN]) -> list[Candidate]:
    return [candidate for result in results for candidate in result.candidates]


def said(results: list[BestOfN]) -> list[list[int]]:
    return [candidate.token_ids for candidate in candidates_of(results)]


def assert_same(results: list[BestOfN], expected: list[BestOfN]):
    """The same candidates in the same order; the sums may round otherwise in another batch."""
    assert said(results) == said(expected)
    assert [r.index for r in results] == [r.index for r in expected]
    for ours, theirs in zip(candidates_of(results), candidates_of(expected), strict=True):
        assert ours.text == theirs.text
        assert ours.score == pytest.approx(theirs.score, rel=1e-4, abs=1e-5)
        assert ours.mean_logprob == pytest.approx(theirs.mean_logprob, rel=1e-4, abs=1e-5)


@torch.no_grad()
def offline(model, head, prompt: str, response: list[int]) -> tuple[float, float]:
    """Score and mean log-probability of one response, alone and unpadded."""
    ids = torch.tensor([prompt_ids(prompt) + response])
    start = ids.shape[1] - len(response)
    outputs = model(input_ids=ids, output_hidden_states=True)
    scored = torch.arange(ids.shape[1]) >= start
    if head.scored_tokens == "fed":
        scored[-1] = False
    score = score_candidates(outputs.hidden_states, head, scored[None])
    logprobs = outputs.logits[0, start - 1 : -1].log_softmax(dim=-1)
    return float(score), float(logprobs.gather(1, ids[0, start:, None]).mean())


class Recorder(LogitsProcessor):
    def __init__(self):
        self.seen = []

    def __call__(self, input_ids, scores):
        self.seen.append(input_ids)
        return scores
