"""What `model.generate` gives back with `BestOfNDecoding`: the rows of the best."""

import pytest
import torch

from decoding_cases import (
    MANY_EOS,
    NUM_LAYERS,
    PROMPT_LENGTH,
    PROMPTS,
    SCORED_TOKENS,
    N,
    Raise,
    generate,
    make_head,
    pad_left,
)
from model_probes import hooks_of
from swift_bon import BestOfNDecoding, BestOfNOutput
from swift_bon.models.prefix import find_cache
from tiny_models import BOS, PAD, tiny_model


def test_plain_call_returns_the_best_rows():
    model, head = tiny_model("llama"), make_head()
    output = generate(model, head, eos_token_id=MANY_EOS)
    best = generate(model, head, eos_token_id=MANY_EOS, return_dict_in_generate=False)
    assert type(best) is torch.Tensor
    assert torch.equal(best, output.sequences)
    torch.manual_seed(1)
    stock = model.generate(
        **pad_left(PROMPTS),
        do_sample=True,
        num_return_sequences=N,
        max_new_tokens=8,
        pad_token_id=PAD,
        eos_token_id=MANY_EOS,
    )
    assert torch.equal(output.candidate_sequences, stock)  # scoring changes nothing


def test_num_return_sequences_left_out_is_one():
    model, head = tiny_model("llama"), make_head()
    best = model.generate(
        **pad_left(PROMPTS), custom_generate=BestOfNDecoding(head), do_sample=True, max_new_tokens=4
    )
    assert best.shape[0] == len(PROMPTS)


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_best_rows_are_those_of_the_highest_score(scored_tokens):
    model, num_prompts = tiny_model("qwen3"), 4
    prompts = [[BOS, 10 + row, 20] for row in range(num_prompts)]
    output = generate(model, make_head(scored_tokens), prompts, num_return_sequences=8)
    by_prompt = output.candidate_scores.view(num_prompts, 8)
    expected = by_prompt.argmax(dim=1) + torch.arange(num_prompts) * 8
    assert output.best_indices.tolist() == expected.tolist()
    assert len(set((expected % 8).tolist())) > 1
    assert torch.equal(output.sequences, output.candidate_sequences[expected])
    assert output.candidate_sequences.shape == (num_prompts * 8, PROMPT_LENGTH + 8)


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_every_field_has_the_rows_of_the_best(name):
    model, head = tiny_model(name), make_head()
    output = generate(
        model,
        head,
        output_scores=True,
        output_logits=True,
        output_hidden_states=True,
        output_attentions=True,
        temperature=0.7,
    )
    assert isinstance(output, BestOfNOutput)
    num_prompts, num_steps = len(PROMPTS), 8
    assert output.candidate_sequences.shape == (num_prompts * N, PROMPT_LENGTH + num_steps)
    assert output.candidate_scores.shape == (num_prompts * N,)
    assert output.sequences.shape == (num_prompts, PROMPT_LENGTH + num_steps)
    assert len(output.scores) == len(output.logits) == len(output.hidden_states) == num_steps
    assert all(logits.shape[0] == num_prompts for logits in (*output.logits, *output.scores))
    assert all(len(state) == num_prompts for step in output.hidden_states for state in step)
    assert all(len(layer) == num_prompts for step in output.attentions for layer in step)
    for row, prompt in enumerate(PROMPTS):
        response = output.sequences[row, PROMPT_LENGTH:].tolist()
        with torch.no_grad():
            expected = model(
                input_ids=torch.tensor([prompt + response[:-1]]), output_hidden_states=True
            )
        logits = torch.stack([step[row] for step in output.logits])
        torch.testing.assert_close(
            logits, expected.logits[0, len(prompt) - 1 :], rtol=1e-4, atol=1e-4
        )
        scores = torch.stack([step[row] for step in output.scores])
        kept = scores.isfinite()  # all but what top_k left out
        torch.testing.assert_close(scores[kept], (logits / 0.7)[kept])
        for layer in range(NUM_LAYERS):
            states = torch.cat([step[layer][row] for step in output.hidden_states[1:]])
            torch.testing.assert_close(
                states, expected.hidden_states[layer][0, len(prompt) :], rtol=1e-4, atol=1e-4
            )


@pytest.mark.parametrize("scored_tokens", SCORED_TOKENS)
def test_the_returned_cache_is_that_of_the_best(scored_tokens):
    model, head = tiny_model("llama"), make_head(scored_tokens)
    output = generate(model, head)
    num_fed = PROMPT_LENGTH + 8 - (scored_tokens == "fed")
    for row, prompt in enumerate(PROMPTS):
        ids = prompt + output.sequences[row, PROMPT_LENGTH:].tolist()
        with torch.no_grad():
            expected = find_cache(model(input_ids=torch.tensor([ids]), use_cache=True))
        for layer, other in zip(find_cache(output).layers, expected.layers, strict=True):
            assert layer.keys.shape[0] == len(PROMPTS)
            assert layer.keys.shape[2] == num_fed
            num_ids = num_fed - (PROMPT_LENGTH - len(prompt))
            for ours, theirs in ((layer.keys, other.keys), (layer.values, other.values)):
                torch.testing.assert_close(
                    ours[row, :, -num_ids:], theirs[0, :, :num_ids], rtol=1e-4, atol=1e-4
                )


def test_generate_without_scoring_works_afterwards():
    model, head = tiny_model("llama"), make_head()
    torch.manual_seed(0)
    before = model.generate(**pad_left(PROMPTS), do_sample=True, max_new_tokens=5)
    generate(model, head)
    hooks = hooks_of(model)
    generate(model, make_head("response"))
    with pytest.raises(KeyError, match="broken"):
        generate(model, head, logits_processor=[Raise()])
    assert hooks_of(model) == hooks
    assert not any("Capture" in repr(hook) for m in model.modules() for hook in all_hooks(m))
    torch.manual_seed(0)
    after = model.generate(**pad_left(PROMPTS), do_sample=True, max_new_tokens=5)
    assert torch.equal(before, after)


def all_hooks(module) -> list:
    return [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
