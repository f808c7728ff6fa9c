"""What a batch may do is proven by running the model, and what is not proven is done without."""

import pytest
import torch
from transformers import (
    DynamicCache,
    LogitsProcessor,
    RecurrentGemmaConfig,
    RecurrentGemmaForCausalLM,
    XLMConfig,
    XLMWithLMHeadModel,
)

from best_of_cases import N, assert_same, prompt_ids, run, said
from decoding_cases import make_head
from swift_bon import BestOfNDecoding
from swift_bon.generation.batch_proof import BatchProof, prove_batches
from tiny_models import SHAPE, build, tiny_model

UNEQUAL = ["Yes", "How much is two times seven and one?", "Or", "Maybe"]


@pytest.mark.parametrize(
    "options",
    [
        {"min_length": 30},
        {"no_repeat_ngram_size": 2},
        {"repetition_penalty": 1.7},
        {"encoder_repetition_penalty": 0.6},
        {"encoder_no_repeat_ngram_size": 1},
        {"bad_words_ids": [[0, 4], [44], [57]]},
        {"sequence_bias": [[[0, 4], 5.0], [[12], 2.0]]},
        {"exponential_decay_length_penalty": (4, 1.8)},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.filterwarnings("ignore:Unfeasible length")
def test_what_sees_the_padding_gives_the_same_candidates_whatever_the_batch(options):
    together, alone = (run(prompts=UNEQUAL, batch_size=n, **options) for n in (64, 1))
    assert_same(together, alone)
    assert said(together) != said(run(prompts=UNEQUAL))  # the option does something


def test_a_constraint_gives_the_same_candidates_whatever_the_batch():
    def allowed(row, ids):
        return [6 + len(ids) % 50, 7, 8, (9 if row else 30) + len(ids) % 9]

    prompt = UNEQUAL[1]
    results = [run(prompts=prompt, batch_size=n, prefix_allowed_tokens_fn=allowed) for n in (64, 1)]
    assert_same(*results)
    assert said(results[0]) != said(run(prompts=prompt))


class Sizes(LogitsProcessor):
    def __init__(self):
        self.seen = []

    def __call__(self, input_ids, scores):
        self.seen.append(tuple(input_ids.shape))
        return scores


@pytest.mark.parametrize(
    "options", [{}, {"top_k": 7, "min_p": 0.01, "typical_p": 0.9, "suppress_tokens": [9]}]
)
def test_what_sees_the_logits_alone_leaves_batches_whole(options):
    sizes = Sizes()
    run(prompts=UNEQUAL, logits_processor=[sizes], **options)
    assert {rows for rows, _ in sizes.seen} == {len(UNEQUAL) * N}


def test_prompts_of_one_length_stand_together_whatever_is_set():
    sizes = Sizes()
    run(prompts=["Yes", "Yet", "No"], min_length=2, logits_processor=[sizes])
    assert {rows for rows, _ in sizes.seen} == {2 * N, N}


def test_a_model_that_does_not_mask_padding_gives_each_prompt_what_it_gives_alone():
    config = RecurrentGemmaConfig(**{**SHAPE, "lru_width": 32, "head_dim": 8})
    model = build(RecurrentGemmaForCausalLM, config)
    assert not prove_batches(model).pads  # plain `generate` is wrong for all but the longest
    results = run(model, prompts=UNEQUAL, do_sample=False, num_return_sequences=1)
    for prompt, ids in zip(UNEQUAL, said(results), strict=True):
        inputs = torch.tensor([prompt_ids(prompt)])
        plain = model.generate(inputs, max_new_tokens=8, do_sample=False, pad_token_id=0)
        assert plain[0, inputs.shape[1] :][: len(ids)].tolist() == ids


class DropsItsCache(type(tiny_model("llama"))):
    def forward(self, *args, **kwargs):
        for name in ("cache", "past_key_values"):
            kwargs.pop(name, None)
        kwargs["use_cache"] = False
        return super().forward(*args, **kwargs)


def test_a_model_that_drops_its_cache_reads_the_whole_text_at_each_step():
    model = tiny_model("llama")
    expected = run(model, use_cache=False)
    dropping = tiny_model("llama")
    dropping.__class__ = DropsItsCache
    assert not prove_batches(dropping).keeps_cache
    assert_same(run(dropping), expected)
    assert_same(run(model), expected)


@pytest.mark.parametrize("family", ["gpt2", "qwen2", "bloom"])
def test_gradient_checkpointing_in_training_changes_nothing(family):
    """As from a trainer's callback; one of these drops its cache then, without a word."""
    zero = {"gpt2": {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}}
    zero["bloom"] = {"hidden_dropout": 0, "attention_dropout": 0}
    expected = run(tiny_model(family, **zero.get(family, {})))
    model = tiny_model(family, **zero.get(family, {}))
    model.train()
    model.gradient_checkpointing_enable()
    assert_same(run(model), expected)
    assert model.training


@pytest.mark.parametrize("name", ["cache", "past_key_values", "inputs_embeds", "position_ids"])
def test_what_belongs_to_one_batch_is_refused(name):
    value = DynamicCache() if "embeds" not in name else torch.zeros(1, 3, 32)
    with pytest.raises(ValueError, match=f"^{name} is set by best_of_n itself; leave it out"):
        run(**{name: value})


def test_nothing_is_proven_of_a_model_whose_runs_differ():
    model = tiny_model("llama")
    noise = torch.Generator().manual_seed(0)

    def add_noise(module, args, output):
        return output + torch.randn(output.shape, generator=noise)

    model.model.norm.register_forward_hook(add_noise)
    assert prove_batches(model) == BatchProof(True, True, False, False, False)


def test_what_is_proven_does_not_hang_on_the_words_that_end_a_text():
    expected, model = prove_batches(tiny_model("llama")), tiny_model("llama")
    model.generation_config.stop_strings = ["xyz"]  # `generate` wants a tokenizer for these
    assert prove_batches(model) == expected
    assert expected.pads


def test_the_proof_runs_once_and_draws_no_random_number():
    model, calls = tiny_model("llama"), []
    model.register_forward_hook(lambda *args: calls.append(1))
    state = torch.random.get_rng_state()
    prove_batches(model)
    count = len(calls)
    assert prove_batches(model) is prove_batches(model)
    assert len(calls) == count < 12
    assert torch.equal(state, torch.random.get_rng_state())
    prove_batches(model.to(torch.bfloat16))
    assert len(calls) == 2 * count


def test_a_model_that_feeds_other_tokens_than_it_wrote_is_refused():
    """XLM appends a mask token to what it reads: the newest state would be that one's."""
    config = XLMConfig(emb_dim=32, n_layers=3, n_heads=4, n_words=64, max_position_embeddings=64)
    model = build(XLMWithLMHeadModel, config)
    assert not prove_batches(model).feeds_text
    for call in (run, generate_best):
        with pytest.raises(ValueError, match="XLMWithLMHeadModel feeds other tokens to itself"):
            call(model)


def generate_best(model):
    ids = torch.tensor([[9, 10, 11]])
    return model.generate(ids, custom_generate=BestOfNDecoding(make_head()), max_new_tokens=3)
