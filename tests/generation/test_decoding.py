"""`BestOfNDecoding` through `model.generate`: scores equal to an offline forward, at no cost.

The oracle takes each candidate alone, without padding, and puts prompt and response through the
model once more with `output_hidden_states=True`.
"""

import threading
import weakref

import pytest
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    CompileConfig,
    GenerationConfig,
    LogitsProcessor,
    StoppingCriteria,
    StopStringCriteria,
    TextIteratorStreamer,
    TextStreamer,
)
from transformers.generation.utils import DeferredStopCheck

from swift_bon import BestOfNDecoding, BestOfNOutput
from swift_bon.generation.scored_decoding import ScoredDecoding
from swift_bon.models.capture import find_decoder_parts
from swift_bon.models.prefix import CACHE_ARGUMENT, find_cache
from swift_kernels import RewardHead, score_candidates
from tiny_models import (
    ARCHITECTURES,
    BOS,
    EOS,
    PAD,
    SHAPE,
    build,
    tiny_model,
    tiny_tokenizer,
)

NUM_LAYERS = SHAPE["num_hidden_layers"] + 1
HIDDEN_SIZE = SHAPE["hidden_size"]
PROMPTS = [[BOS, 10, 20, 30, 40, 50, 60], [BOS, 33, 44]]  # of different lengths: left padding
PROMPT_LENGTH = max(map(len, PROMPTS))
N = 3
SCORED_TOKENS = ["fed", "response"]
# A third of the tokens end a response, so that candidates end early and at different times.
MANY_EOS = list(range(EOS, 64, 3))


def make_head(scored_tokens="fed", seed=0, num_layers=NUM_LAYERS, **kwargs) -> RewardHead:
    """Random weights, wide enough that gates and rewards of tokens differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = RewardHead(num_layers, HIDDEN_SIZE, scored_tokens=scored_tokens, **kwargs)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return head


def pad_left(prompts):
    rows = [[PAD] * (PROMPT_LENGTH - len(prompt)) + prompt for prompt in prompts]
    masks = [[0] * (PROMPT_LENGTH - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(masks)}


def generate(model, head, prompts=PROMPTS, **kwargs) -> BestOfNOutput:
    torch.manual_seed(1)
    arguments = {
        "do_sample": True,
        "num_return_sequences": N,
        "max_new_tokens": 8,
        "pad_token_id": PAD,
        "eos_token_id": None,
        "return_dict_in_generate": True,
    }
    return model.generate(
        **pad_left(prompts), custom_generate=BestOfNDecoding(head), **{**arguments, **kwargs}
    )


def responses(output, ends=lambda ids: False) -> list[list[int]]:
    """The tokens of each candidate up to the first one after which `ends` says so."""
    cut = []
    for row in output.candidate_sequences[:, PROMPT_LENGTH:].tolist():
        lengths = (length for length in range(1, len(row) + 1) if ends(row[:length]))
        cut.append(row[: next(lengths, len(row))])
    return cut


@torch.no_grad()
def offline_score(model, head, prompt: list[int], response: list[int]) -> torch.Tensor:
    scored = response if head.scored_tokens == "response" else response[:-1]
    input_ids = torch.tensor([prompt + response])
    mask = torch.tensor([[False] * len(prompt) + [True] * len(scored)])
    outputs = model(
        input_ids=input_ids[:, : mask.shape[1]], output_hidden_states=True, use_cache=False
    )
    return score_candidates(outputs.hidden_states, head, mask)[0]


def offline_scores(model, head, cut, prompts=PROMPTS) -> torch.Tensor:
    num_each = len(cut) // len(prompts)
    scores = [
        offline_score(model, head, prompts[row // num_each], response)
        for row, response in enumerate(cut)
    ]
    return torch.stack(scores)


def assert_scored(model, head, output, ends=lambda ids: False, prompts=PROMPTS, atol=1e-5):
    expected = offline_scores(model, head, responses(output, ends), prompts)
    finite = expected.isfinite()
    assert len(expected.unique()) > 1 or len(expected) == 1  # or nothing is shown
    torch.testing.assert_close(output.candidate_scores, expected, rtol=1e-5, atol=atol)
    assert finite.any()


def is_eos(ids) -> bool:
    return ids[-1] in MANY_EOS


def hooks_of(model) -> list:
    return [
        (name, key)
        for name, module in model.named_modules()
        for key in [*module._forward_hooks, *module._forward_pre_hooks]
    ]


# Scores.


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


# Which tokens count.


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


# What comes back.


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


class Raise(LogitsProcessor):
    def __call__(self, *args):
        raise KeyError("broken")


# Cost: no second forward, no stored states.


class TokenCounter:
    """Counts the tokens that go through a model."""

    def __init__(self, model):
        self.num_tokens = 0
        find_decoder_parts(model)  # its one short forward is not what is counted
        self.handle = model.get_input_embeddings().register_forward_hook(self.add)

    def add(self, module, args, output):
        self.num_tokens += output.shape[0] * output.shape[1]


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


# Threads, and one call inside another.


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


# Refusals.


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("num_beams", {"num_beams": 3}),
        ("num_beams", {"num_beams": 3, "do_sample": False}),
        ("num_beams", {"generation_config": GenerationConfig(num_beams=3, max_new_tokens=4)}),
        ("prompt_lookup_num_tokens", {"prompt_lookup_num_tokens": 3, "num_return_sequences": 1}),
        ("assistant_early_exit", {"assistant_early_exit": 1, "num_return_sequences": 1}),
        (
            "penalty_alpha",
            {"penalty_alpha": 0.6, "top_k": 4, "do_sample": False, "num_return_sequences": 1},
        ),
        ("dola_layers", {"dola_layers": "low", "do_sample": False, "num_return_sequences": 1}),
        ("guidance_scale", {"guidance_scale": 1.5}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_ways_of_decoding_are_refused_by_name(name, kwargs):
    model = tiny_model("llama")
    counter = TokenCounter(model)
    with pytest.raises(ValueError, match=rf"^{name} cannot be used with best-of-N scoring"):
        generate(model, make_head(), **kwargs)
    assert counter.num_tokens == 0


def test_assisted_decoding_is_refused_by_name():
    model = tiny_model("llama")
    with pytest.raises(ValueError, match="^assistant_model cannot be used"):
        generate(model, make_head(), assistant_model=tiny_model("llama"), num_return_sequences=1)


def test_a_streamer_is_refused_by_name():
    model, streamer = tiny_model("llama"), TextStreamer(tiny_tokenizer())
    with pytest.raises(ValueError, match="^streamer cannot be used"):
        generate(model, make_head(), [PROMPTS[0]], num_return_sequences=1, streamer=streamer)


def test_the_reader_of_a_refused_stream_does_not_wait():
    model = tiny_model("llama")
    streamer = TextIteratorStreamer(tiny_tokenizer(), timeout=60)
    errors = []

    def work():
        try:
            generate(model, make_head(), [PROMPTS[0]], num_return_sequences=1, streamer=streamer)
        except ValueError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    read = "".join(streamer)  # ends, or raises queue.Empty after its timeout
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert errors and errors[0].startswith("streamer cannot be used")
    assert read == tiny_tokenizer().decode(PROMPTS[0])  # and nothing more


def test_encoder_decoder_models_are_refused():
    config = transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=32, num_layers=3, num_heads=4
    )
    config.decoder_start_token_id = PAD
    model = build(transformers.T5ForConditionalGeneration, config)
    with pytest.raises(ValueError, match="T5ForConditionalGeneration is an encoder-decoder"):
        generate(model, make_head())


def test_a_static_cache_has_no_room_for_the_last_token():
    with pytest.raises(ValueError, match="cache_implementation is 'static'.*dynamic cache"):
        generate(tiny_model("llama"), make_head("response"), cache_implementation="static")


def test_a_cache_made_by_the_model_is_out_of_reach_for_the_last_token():
    changes = {"head_dim": 8, "num_local_experts": 2, "block_size": 4}
    config = transformers.MiniMaxConfig(**SHAPE, **changes)
    model = build(transformers.MiniMaxForCausalLM, config)
    with pytest.raises(ValueError, match="MiniMaxForCausalLM makes a cache of its own.*use_cache="):
        generate(model, make_head("response"))
    head = make_head("response")  # what the error proposes works
    assert_scored(model, head, generate(model, head, use_cache=False))
    head = make_head("fed")
    assert_scored(model, head, generate(model, head))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (make_head(num_layers=5), "head expects 5 hidden states of size 32.* has 4 of size 32"),
        (RewardHead(NUM_LAYERS, 16), "head expects 4 hidden states of size 16"),
        (make_head(base_model="other/model"), "trained for the model 'other/model'"),
        (make_head(feature="logits"), "head reads logits"),
    ],
    ids=["layers", "hidden-size", "model", "logits"],
)
def test_a_head_of_another_model_is_refused(head, message):
    model = tiny_model("llama")
    counter = TokenCounter(model)
    with pytest.raises(ValueError, match=message):
        generate(model, head)
    assert counter.num_tokens == 0


def test_something_else_than_a_head_is_refused():
    with pytest.raises(TypeError, match="head is Linear, expected a RewardHead"):
        generate(tiny_model("llama"), torch.nn.Linear(2, 2))
