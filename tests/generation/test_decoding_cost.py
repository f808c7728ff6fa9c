"""What `BestOfNDecoding` costs: no second forward, no stored states."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LogitsProcessor

from decoding_cases import (
    HIDDEN_SIZE,
    PROMPT_LENGTH,
    PROMPTS,
    SCORED_TOKENS,
    N,
    generate,
    make_head,
)
from model_probes import TokenCounter, hooks_of
from swift_bon.generation.scored_decoding import ScoredDecoding
from swift_bon.models.capture import find_decoder_parts
from tiny_models import PAD, tiny_model


@pytest.mark.parametrize("options", [{}, {"prefill_chunk_size": 3}, {"max_new_tokens": 1}], ids=str)
@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2"])
@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_no_second_forward_pass(scored_tokens, name, options):
    model, head = tiny_model(name), make_head(scored_tokens)
    counter = TokenCounter(model)
    generate(model, head, **options)
    num_candidates, num_steps = len(PROMPTS) * N, options.get("max_new_tokens", 8)
    num_fed = num_steps if scored_tokens == "response" else num_steps - 1
    assert counter.num_tokens == num_candidates * (PROMPT_LENGTH + num_fed)


def test_only_the_layers_of_the_head_are_hooked():
    model, counts = tiny_model("llama"), []
    find_decoder_parts(model)
    num_before = len(hooks_of(model))

    class CountHooks(LogitsProcessor):
        def __call__(self, input_ids, scores):
            counts.append(len(hooks_of(model)) - num_before)
            return scores

    generate(model, make_head(layers=[1]), logits_processor=[CountHooks()], max_new_tokens=2)
    assert counts == [1 + 2] * 2  # the block's, and two around the decoder


class LiveBytes(TorchDispatchMode):
    """The most bytes that tensors held at once, of all that any operation returned."""

    def __init__(self):
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf.untyped_storage())
        return out

    def add(self, storage):
        key = storage._cdata
        if key not in self.sizes:
            self.sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.free, key)

    def free(self, key):
        self.now -= self.sizes.pop(key)


def test_live_bytes_are_counted():
    with LiveBytes() as live:
        first = torch.zeros(100)
        view = first[10:20]
        second = first + 1
        del second
        torch.ones(50)
    assert (live.now, live.peak) == (400, 800)
    del first
    assert live.now == 400  # the view holds it
    del view
    assert live.now == 0


def peak_bytes(model, method, prompt_length: int, **kwargs) -> int:
    torch.manual_seed(1)
    with LiveBytes() as live:
        model.generate(
            torch.arange(prompt_length)[None] % 60,
            custom_generate=method,
            do_sample=True,
            num_return_sequences=4,
            eos_token_id=None,
            pad_token_id=PAD,
            **kwargs,
        )
    return live.peak


SHORT, LONG, LONG_PROMPT = (4, 32), (4, 256), (256, 4)  # tokens of the prompt, tokens written
LAST_STEP = 2 * 8  # bytes per token of the mask and the positions of the step after the last


@pytest.mark.parametrize(
    ("short", "long", "scored_tokens", "bytes_per_token", "use_cache"),
    [
        pytest.param(SHORT, LONG, "fed", 0, True, id="response-fed"),
        pytest.param(SHORT, LONG, "response", LAST_STEP, True, id="response-response"),
        pytest.param((64, 4), LONG_PROMPT, "fed", 0, True, id="prompt-fed"),
        pytest.param((64, 4), LONG_PROMPT, "response", LAST_STEP, True, id="prompt-response"),
        pytest.param((4, 8), (4, 40), "fed", 0, False, id="no-cache-fed"),
    ],
)
def test_peak_memory_of_scoring_does_not_grow_with_the_tokens(
    short, long, scored_tokens, bytes_per_token, use_cache
):
    model, head = tiny_model("llama"), make_head(scored_tokens)
    find_decoder_parts(model)
    extra = []
    for prompt_length, max_new_tokens in (short, long):
        options = {"max_new_tokens": max_new_tokens, "use_cache": use_cache}
        with_scores = peak_bytes(model, ScoredDecoding(head), prompt_length, **options)
        without = peak_bytes(model, ScoredDecoding(None), prompt_length, **options)
        extra.append(with_scores - without)
    num_more = 4 * (sum(long) - sum(short))
    allowed = 256 + num_more * bytes_per_token
    assert allowed < num_more * HIDDEN_SIZE * 4 / 7  # of the states of a single layer
    assert extra[1] <= extra[0] + allowed, f"{extra=} {allowed=}"
