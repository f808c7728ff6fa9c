"""`BestOfNDecoding` through `model.generate`: scores equal to an offline forward."""

import pytest
import torch
from transformers import CompileConfig

from decoding_cases import (
    MANY_EOS,
    PROMPTS,
    SCORED_TOKENS,
    N,
    Raise,
    assert_scored,
    generate,
    is_eos,
    make_head,
    offline_scores,
    pad_left,
    responses,
)
from swift_bon import BestOfNDecoding
from swift_bon.models.prefix import CACHE_ARGUMENT, find_cache
from tiny_models import ARCHITECTURES, PAD, tiny_model


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_scores_equal_an_offline_forward(name, scored_tokens):
    model, head = tiny_model(name), make_head(scored_tokens)
    output = generate(model, head, eos_token_id=MANY_EOS)
    lengths = {len(response) for response in responses(output, is_eos)}
    assert len(lengths) > 1, "all candidates end at once, early ends would go untested"
    assert_scored(model, head, output, is_eos)


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"use_cache": False}, id="no-cache"),
        pytest.param({"prefill_chunk_size": 2}, id="chunks-of-2"),
        pytest.param({"prefill_chunk_size": 5}, id="chunks-of-5"),
        pytest.param({"max_new_tokens": 1, "eos_token_id": None}, id="one-token"),
        pytest.param({"max_new_tokens": 2, "eos_token_id": None}, id="two-tokens"),
        pytest.param({"temperature": 0.5, "top_k": 5, "top_p": 0.9}, id="warped"),
        pytest.param({"num_return_sequences": 1}, id="one-each"),
        pytest.param({"repetition_penalty": 1.3, "min_new_tokens": 3}, id="processors"),
    ],
)
@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2"])
def test_scores_whatever_the_arguments(name, options, scored_tokens):
    model, head = tiny_model(name), make_head(scored_tokens)
    options = {"eos_token_id": MANY_EOS, **options}
    output = generate(model, head, **options)
    ends = is_eos if options["eos_token_id"] else lambda ids: False
    if options.get("max_new_tokens") == 1 and scored_tokens == "fed":
        assert output.candidate_scores.isneginf().all()  # no token was fed
        assert output.best_indices.tolist() == [0, N]
    else:
        assert_scored(model, head, output, ends)


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
@pytest.mark.parametrize(
    "options",
    [{"gated": False}, {"layers": [1]}, {"layers": [0, 3]}, {"layers": [3], "gated": False}],
    ids=str,
)
def test_heads_without_a_gate_or_of_some_layers(options, scored_tokens):
    model, head = tiny_model("qwen2"), make_head(scored_tokens, **options)
    assert_scored(model, head, generate(model, head))


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt_neox"])
def test_bfloat16_errs_no_more_than_its_own_offline_forward(name, scored_tokens):
    model, head = tiny_model(name, torch.bfloat16), make_head(scored_tokens)
    output = generate(model, head, num_return_sequences=16)
    assert output.candidate_scores.dtype == torch.float32
    cut = responses(output)
    eager = offline_scores(model, head, cut)
    truth = offline_scores(model.float(), head, cut)  # the same weights
    eager_error = (eager - truth).abs().max()
    actual_error = (output.candidate_scores - truth).abs().max()
    assert actual_error <= 2 * eager_error + 1e-5, f"{actual_error=:.2e} {eager_error=:.2e}"
    assert eager_error < truth.std()  # or any score would do


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_greedy_decoding(scored_tokens):
    model, head = tiny_model("llama"), make_head(scored_tokens)
    options = {"do_sample": False, "num_return_sequences": 1, "eos_token_id": MANY_EOS[1:]}
    output = generate(model, head, **options)
    plain = model.generate(
        **pad_left(PROMPTS),
        do_sample=False,
        max_new_tokens=8,
        pad_token_id=PAD,
        eos_token_id=MANY_EOS[1:],
    )
    assert torch.equal(output.sequences, plain)
    assert output.best_indices.tolist() == [0, 1]
    assert_scored(model, head, output, lambda ids: ids[-1] in MANY_EOS[1:])


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_a_prompt_given_as_embeddings(scored_tokens):
    model, head = tiny_model("llama"), make_head(scored_tokens)
    prompt = PROMPTS[0]
    torch.manual_seed(1)
    output = model.generate(
        inputs_embeds=model.get_input_embeddings()(torch.tensor([prompt])),
        custom_generate=BestOfNDecoding(head),
        do_sample=True,
        num_return_sequences=N,
        max_new_tokens=6,
        pad_token_id=PAD,
        eos_token_id=None,
        return_dict_in_generate=True,
    )
    cut = output.candidate_sequences.tolist()  # transformers returns the new tokens alone
    assert {len(response) for response in cut} == {6}
    expected = offline_scores(model, head, cut, [prompt])
    torch.testing.assert_close(output.candidate_scores, expected, rtol=1e-5, atol=1e-5)


def test_a_prompt_partly_in_a_cache():
    model, head = tiny_model("llama"), make_head("response")
    with torch.no_grad():
        start = model(input_ids=torch.tensor([PROMPTS[0][:4]] * N), use_cache=True)
    output = generate(
        model,
        head,
        [PROMPTS[0]] * N,
        num_return_sequences=1,
        **{CACHE_ARGUMENT: find_cache(start)},
    )
    assert_scored(model, head, output, prompts=[PROMPTS[0]] * N)


def test_static_cache_with_fed_tokens(monkeypatch):
    """A static cache makes `generate` compile the forward, and hooks would be lost in it."""
    model, head = tiny_model("llama"), make_head("fed")
    compile_config = CompileConfig()
    compile_config._compile_all_devices = True
    options = {"cache_implementation": "static", "compile_config": compile_config}
    monkeypatch.setattr(model, "get_compiled_call", Raise())
    with pytest.raises(KeyError, match="broken"):
        model.generate(**pad_left(PROMPTS), max_new_tokens=2, **options)
    assert_scored(model, head, generate(model, head, **options))
