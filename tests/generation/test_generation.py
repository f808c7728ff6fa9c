"""`best_of_n`: what comes back, whatever the batch; seeds, stop strings, memory, bad input."""

import dataclasses
import weakref

import pytest
import torch
import transformers
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
)

from swift_bon import BestOfN, Candidate, best_of_n
from swift_bon.generation import best_of as generation
from swift_bon.models.capture import find_decoder_parts
from swift_kernels import RewardHead, score_candidates
from tiny_models import BOS, EOS, PAD, SHAPE, build, tiny_model, tiny_tokenizer

NUM_LAYERS = SHAPE["num_hidden_layers"] + 1
HIDDEN_SIZE = SHAPE["hidden_size"]
PROMPTS = ["Hello you", "What is it?", "No"]  # of different lengths
MANY_EOS = list(range(EOS, 64, 5))
N = 4


def make_head(**kwargs) -> RewardHead:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = RewardHead(NUM_LAYERS, HIDDEN_SIZE, **kwargs)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return head


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


# What comes back.


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


class Recorder(LogitsProcessor):
    def __init__(self):
        self.seen = []

    def __call__(self, input_ids, scores):
        self.seen.append(input_ids)
        return scores


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


# Batches.


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


class CountTokens:
    """Counts the tokens that go through a model."""

    def __init__(self, model):
        find_decoder_parts(model)
        self.num_tokens = 0
        model.get_input_embeddings().register_forward_hook(self.add)

    def add(self, module, args, output):
        self.num_tokens += output.shape[0] * output.shape[1]


@pytest.mark.parametrize("scored_tokens", ["fed", "response"])
def test_no_second_forward_pass(scored_tokens):
    model = tiny_model("llama")
    counter = CountTokens(model)
    run(model, head=make_head(scored_tokens=scored_tokens), eos_token_id=None)
    length = max(len(prompt_ids(prompt)) for prompt in PROMPTS)
    num_fed = 8 if scored_tokens == "response" else 7
    once = len(PROMPTS) * (length - 1)  # prompts are shared by their candidates, but for one token
    assert counter.num_tokens <= once + len(PROMPTS) * N * (1 + num_fed)


# Memory.


def fail_on_cpu():
    torch.empty(2**58, dtype=torch.uint8)


def fail_on_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Memory:
    """Stands in for `model._sample`: too many rows do not fit, at the start or at the end."""

    def __init__(self, model, num_rows, fail, at_end):
        self.sample, self.num_rows, self.fail, self.at_end = model._sample, num_rows, fail, at_end
        self.batches, self.kept = [], []

    def __call__(self, input_ids, *args, **kwargs):
        assert not any(reference() is not None for reference in self.kept)
        self.batches.append(len(input_ids))
        states = torch.zeros(3)  # what an error's traceback would keep alive
        self.kept.append(weakref.ref(states))
        fits = len(input_ids) <= self.num_rows
        if not fits and not self.at_end:
            self.fail()
        output = self.sample(input_ids, *args, **kwargs)
        if not fits:
            self.fail()
        return output


@pytest.mark.parametrize("at_end", [False, True], ids=["at-start", "at-end"])
@pytest.mark.parametrize("fail", [fail_on_cpu, fail_on_gpu])
def test_out_of_memory_halves_the_batch_and_goes_on(fail, at_end, monkeypatch):
    model = tiny_model("llama")
    expected = run(model)
    memory = Memory(model, 3, fail, at_end)
    monkeypatch.setattr(model, "_sample", memory)
    assert_same(run(model), expected)
    assert memory.batches == [12, 6, 3, 3, 3, 3]
    memory.batches.clear()
    assert_same(run(model, batch_size=5), expected)
    assert memory.batches == [5, 2, 2, 2, 2, 2, 2]


def test_out_of_memory_in_mid_run_keeps_what_was_done(monkeypatch):
    model = tiny_model("llama")
    expected = run(model)
    memory = Memory(model, 4, fail_on_gpu, False)
    monkeypatch.setattr(model, "_sample", memory)

    def shrink(input_ids, *args, **kwargs):
        output = memory(input_ids, *args, **kwargs)
        memory.num_rows = 2
        return output

    monkeypatch.setattr(model, "_sample", shrink)
    assert_same(run(model, batch_size=4), expected)
    assert memory.batches == [4, 4, 2, 2, 2, 2]


@pytest.mark.parametrize("fail", [fail_on_cpu, fail_on_gpu])
def test_one_candidate_that_does_not_fit_is_an_error(fail, monkeypatch):
    model = tiny_model("llama")
    memory = Memory(model, 0, fail, False)
    monkeypatch.setattr(model, "_sample", memory)
    with pytest.raises(RuntimeError, match="out of memory|can't allocate memory"):
        run(model, batch_size=4)
    assert memory.batches == [4, 2, 1]
    monkeypatch.undo()
    assert said(run(model)) == said(run())  # and the model can be used again


def test_another_error_is_not_taken_for_one_of_memory(monkeypatch):
    model = tiny_model("llama")

    def fail():
        raise RuntimeError("shapes do not match")

    memory = Memory(model, 0, fail, False)
    monkeypatch.setattr(model, "_sample", memory)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(model)
    assert memory.batches == [12]


# Seeds.


def test_a_seed_gives_the_same_candidates_again():
    first = run(seed=5)
    torch.rand(7)
    assert_same(run(seed=5), first)
    assert said(run(seed=6)) != said(first)
    assert len({tuple(c.token_ids) for c in first[0].candidates}) == N


def test_a_seed_leaves_the_random_stream_of_pytorch_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    run(seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_equal_prompts_have_candidates_of_their_own():
    results = run(prompts=["No", "No"], eos_token_id=None)
    assert len({tuple(ids) for ids in said(results)}) == 2 * N


def test_without_a_seed_the_random_stream_of_pytorch_decides():
    torch.manual_seed(11)
    first, second = run(seed=None), run(seed=None)
    torch.manual_seed(11)
    again = run(seed=None)
    assert_same(again, first)
    assert said(second) != said(first)
    torch.manual_seed(12)
    assert said(run(seed=None)) != said(first)


# Arguments that pass through.


STOPS = ["a", "B", "he", "I"]


def assert_stopped(results, tokenizer):
    every = candidates_of(results)
    stopped = [any(stop in tokenizer.decode(c.token_ids) for stop in STOPS) for c in every]
    for candidate, is_stopped in zip(every, stopped, strict=True):
        assert not any(stop in tokenizer.decode(candidate.token_ids[:-1]) for stop in STOPS)
        assert is_stopped or len(candidate.token_ids) == 8
    assert True in stopped
    assert False in stopped


def test_stop_strings():
    tokenizer, options = tiny_tokenizer(), {"num_return_sequences": 8, "eos_token_id": None}
    results = run(stop_strings=STOPS, **options)
    assert_stopped(results, tokenizer)
    config = GenerationConfig(stop_strings=STOPS, do_sample=True)
    assert_same(run(generation_config=config, **options), results)
    assert config.stop_strings == STOPS  # the caller's is left as it was
    model = tiny_model("llama")
    model.generation_config.stop_strings = STOPS
    assert_same(run(model, **options), results)
    assert model.generation_config.stop_strings == STOPS
    one = run(stop_strings="a", **options)
    assert any(c.token_ids[-1:] == tokenizer("a")["input_ids"] for c in candidates_of(one))
    for text in (c.text for c in candidates_of(one)):
        assert "a" not in text[:-1]


class StopAfter(StoppingCriteria):
    def __init__(self, length):
        self.length, self.start = length, None

    def __call__(self, input_ids, scores, **kwargs):
        self.start = self.start or input_ids.shape[1]
        is_done = input_ids.shape[1] - self.start + 1 >= self.length
        return torch.full((len(input_ids),), is_done)


def test_stopping_criteria_of_ones_own_beside_stop_strings():
    options = {"num_return_sequences": 8, "eos_token_id": None}
    criteria = StoppingCriteriaList([StopAfter(3)])
    results = run(stopping_criteria=criteria, stop_strings=STOPS, **options)
    assert len(criteria) == 1  # the caller's list is left as it was
    lengths = {len(ids) for ids in said(results)}
    assert max(lengths) == 3
    assert len(lengths) > 1
    for length in lengths - {3}:
        assert [ids[:length] for ids in said(results)] == [
            ids[:length] for ids in said(run(stop_strings=STOPS, max_new_tokens=3, **options))
        ]
    assert {len(ids) for ids in said(run(stopping_criteria=[StopAfter(2)], **options))} == {2}


class Forbid(LogitsProcessor):
    def __init__(self, token_ids):
        self.token_ids = token_ids

    def __call__(self, input_ids, scores):
        scores = scores.clone()
        scores[:, self.token_ids] = -float("inf")
        return scores


def test_logits_processors_of_ones_own():
    allowed = {10, 20, 30, EOS}
    forbid = Forbid([token for token in range(64) if token not in allowed])
    results = run(logits_processor=[forbid], num_return_sequences=8)
    assert set().union(*said(results)) == allowed
    model = tiny_model("llama")  # the log-probabilities stay those of the model
    (result,) = run(model, "No", logits_processor=[forbid])
    for candidate in result.candidates:
        _, mean_logprob = offline(model, make_head(), "No", candidate.token_ids)
        assert candidate.mean_logprob == pytest.approx(mean_logprob, rel=1e-4)


def test_generation_config():
    config = GenerationConfig(
        do_sample=True, max_new_tokens=5, top_k=3, temperature=0.6, eos_token_id=MANY_EOS
    )
    before = config.to_dict()
    results = best_of_n(
        tiny_model("llama"),
        tiny_tokenizer(),
        PROMPTS,
        make_head(),
        N,
        seed=0,
        generation_config=config,
    )
    assert config.to_dict() == before
    expected = run(max_new_tokens=5, top_k=3, temperature=0.6)
    assert_same(results, expected)
    assert max(map(len, said(results))) <= 5
    plain = run(max_new_tokens=5)
    assert said(plain) != said(expected)


def test_sampling_is_on_unless_a_config_says_no():
    config = GenerationConfig(max_new_tokens=8, eos_token_id=MANY_EOS)
    assert_same(run(generation_config=config), run())
    config = GenerationConfig(do_sample=False)
    with pytest.raises(ValueError, match="do_sample is False"):
        run(generation_config=config)


@pytest.mark.parametrize(
    "options",
    [
        {"use_cache": False},
        {"prefill_chunk_size": 3},
        {"cache_implementation": "static"},
        {"num_beams": 1, "guidance_scale": 1.0, "assistant_model": None},
        {"output_scores": True, "return_dict_in_generate": False},
    ],
    ids=str,
)
def test_arguments_that_change_nothing(options):
    assert_same(run(**options), run())


def test_greedy_decoding_of_one_candidate():
    model = tiny_model("llama")
    results = run(model, do_sample=False, num_return_sequences=1, eos_token_id=None)
    for prompt, result in zip(PROMPTS, results, strict=True):
        ids = prompt_ids(prompt)
        for _ in range(8):
            with torch.no_grad():
                ids = [*ids, int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())]
        assert result.candidates[0].token_ids == ids[-8:]
    with pytest.raises(ValueError, match=r"do_sample is False and num_return_sequences 4.*pass do"):
        run(model, do_sample=False)


def test_the_model_is_left_as_it_was():
    model = tiny_model("llama")
    before = model.generation_config.to_dict()
    run(model, temperature=0.5)
    assert model.generation_config.to_dict() == before
    assert not model.training
    torch.manual_seed(0)
    sampled = model.generate(torch.tensor([[BOS, 5]]), do_sample=True, max_new_tokens=4)
    torch.manual_seed(0)
    fresh = tiny_model("llama")
    torch.manual_seed(0)
    expected = fresh.generate(torch.tensor([[BOS, 5]]), do_sample=True, max_new_tokens=4)
    assert torch.equal(sampled, expected)


# Bad input.


@pytest.mark.parametrize(
    ("prompts", "error", "message"),
    [
        ("", ValueError, r"prompts\[0\] is empty"),
        (" \n\t", ValueError, r"prompts\[0\] is empty"),
        (["No", ""], ValueError, r"prompts\[1\] is empty"),
        ([chat("No"), []], ValueError, r"prompts\[1\] is empty"),
        ([chat("  ")], ValueError, r"prompts\[0\] is empty, expected at least one message"),
        (None, TypeError, "prompts is NoneType, expected a string, chat messages, or a list"),
        (7, TypeError, "prompts is int"),
        (chat("No")[0], TypeError, "prompts is dict"),
        pytest.param((text for text in ["No"]), TypeError, "prompts is generator", id="generator"),
        ([7], TypeError, r"prompts\[0\] is int, expected a string or a list of messages"),
        (["No", None], TypeError, r"prompts\[1\] is NoneType"),
        ([["No"]], TypeError, r"prompts\[0\] is list, expected .*'role'.*'content'"),
        ([{"role": "user"}], TypeError, r"prompts\[0\] is list, expected .*'role'.*'content'"),
        (b"No", TypeError, r"prompts\[0\] is int"),
    ],
    ids=repr,
)
def test_bad_prompts(prompts, error, message):
    with pytest.raises(error, match=message):
        run(prompts=prompts)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("num_return_sequences", 0, ValueError),
        ("num_return_sequences", -1, ValueError),
        ("num_return_sequences", True, TypeError),
        ("num_return_sequences", 1.5, TypeError),
        ("num_return_sequences", None, TypeError),
        ("num_return_sequences", "4", TypeError),
        ("batch_size", 0, ValueError),
        ("batch_size", -2, ValueError),
        ("batch_size", False, TypeError),
        ("batch_size", 2.0, TypeError),
    ],
)
def test_bad_counts(name, value, error):
    with pytest.raises(error, match=f"^{name} is {value!r}, expected .*at least 1"):
        run(**{name: value})


def test_a_prompt_longer_than_the_context():
    model = tiny_model("llama", max_position_embeddings=16)
    model.name_or_path = "tiny/llama"
    length = len(prompt_ids("")), len(prompt_ids("x"))
    assert length == (3, 4)
    fits, full, long = "x" * 9, "x" * 13, "x" * 40  # with the template 12, 16 and 43 tokens
    assert max(map(len, said(run(model, fits, max_new_tokens=4, eos_token_id=None)))) == 4
    with pytest.raises(
        ValueError,
        match=r"prompts\[1\] has 12 tokens and max_new_tokens is 5, together more than the "
        "context of 'tiny/llama', 16",
    ):
        run(model, ["No", fits], max_new_tokens=5)
    config = GenerationConfig(max_new_tokens=5, do_sample=True)
    with pytest.raises(ValueError, match="12 tokens and max_new_tokens is 5"):
        best_of_n(model, tiny_tokenizer(), fits, make_head(), 2, generation_config=config)
    for prompt in (full, long):
        with pytest.raises(ValueError, match=rf"has {len(prompt) + 3} tokens, the context of"):
            run(model, prompt, max_new_tokens=1)


def test_length_where_none_is_given(monkeypatch):
    model, config = tiny_model("llama", max_position_embeddings=24), {"do_sample": True}
    options = {"max_new_tokens": None, "eos_token_id": None}
    longest = max(len(prompt_ids(prompt)) for prompt in PROMPTS)
    assert {len(ids) for ids in said(run(model, **options))} == {24 - longest}
    monkeypatch.setattr(generation, "DEFAULT_MAX_NEW_TOKENS", 4)
    assert {len(ids) for ids in said(run(model, **options))} == {4}
    model.generation_config.max_length = 24  # as many models have; it is no wish of the caller's
    assert {len(ids) for ids in said(run(model, **options))} == {4}
    model.generation_config.max_new_tokens = 6
    assert {len(ids) for ids in said(run(model, **options))} == {6}
    options["generation_config"] = GenerationConfig(**config)
    assert {len(ids) for ids in said(run(model, **options))} == {6}
    options["generation_config"] = GenerationConfig(**config, max_new_tokens=3)
    assert {len(ids) for ids in said(run(model, **options))} == {3}


def test_a_length_that_counts_the_padding_is_refused():
    with pytest.raises(ValueError, match="^max_length is 20, which counts the padding.*max_new_t"):
        run(max_length=20)
    config = GenerationConfig(max_length=20, do_sample=True)
    with pytest.raises(ValueError, match="^max_length is 20, which counts the padding"):
        run(generation_config=config, max_new_tokens=None)
    assert_same(run(generation_config=config, max_new_tokens=8), run())


def test_a_template_that_renders_nothing():
    with pytest.raises(ValueError, match=r"prompts\[0\] is empty once it is rendered"):
        run(tokenizer=tiny_tokenizer("{{ '' }}"))


def test_a_model_without_a_context_length_takes_any_prompt():
    model = tiny_model("bloom")
    del model.config.max_position_embeddings
    assert len(run(model, "x" * 600, max_new_tokens=2)) == 1


@pytest.mark.parametrize("template", [None, ""], ids=["none", "empty"])
def test_missing_chat_template(template):
    with pytest.raises(ValueError, match="no chat template.*set tokenizer.chat_template"):
        run(tokenizer=tiny_tokenizer(template))
    plain = "{% for message in messages %}{{ message.content }}{% endfor %}"
    recorder = Recorder()  # what the error proposes works
    run(prompts="No", tokenizer=tiny_tokenizer(plain), logits_processor=[recorder])
    assert recorder.seen[0].tolist() == [tiny_tokenizer()("No")["input_ids"]] * N


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (RewardHead(3, HIDDEN_SIZE), "head expects 3 hidden states of size 32.* has 4 of size 32"),
        (RewardHead(NUM_LAYERS, 64), "head expects 4 hidden states of size 64.* has 4 of size 32"),
        (RewardHead(NUM_LAYERS, HIDDEN_SIZE, feature="logits"), "head reads logits"),
    ],
    ids=["layers", "hidden-size", "feature"],
)
def test_a_head_that_does_not_fit(head, message):
    with pytest.raises(ValueError, match=message):
        run(head=head)


@pytest.mark.parametrize("head", [None, "path/to/head", torch.nn.Linear(1, 1)], ids=str)
def test_something_else_than_a_head(head):
    with pytest.raises(TypeError, match=r"expected a RewardHead; load one with RewardHead\.from_p"):
        best_of_n(tiny_model("llama"), tiny_tokenizer(), PROMPTS, head, N)


SNAPSHOT = "/cache/hub/models--Org--Model-1b/snapshots/0f3a"


@pytest.mark.parametrize(
    ("base_model", "model_name", "is_same"),
    [
        ("Org/Model-1b", "Org/Model-1b", True),
        ("Org/Model-1b", "org/model-1B", True),
        ("Org/Model-1b", "Model-1b", True),
        ("Org/Model-1b", "/data/models/Model-1b", True),
        ("Org/Model-1b", "/data/models/Model-1b/", True),
        ("Org/Model-1b", "C:\\models\\Model-1b", True),
        ("Org/Model-1b", SNAPSHOT, True),
        ("Org/Model-1b", SNAPSHOT + "/", True),
        (SNAPSHOT, "Org/Model-1b", True),
        (SNAPSHOT, "/other/models--Org--Model-1b/snapshots/77", True),
        (None, "Org/Model-1b", True),
        ("Org/Model-1b", "Org/Model-2b", False),
        ("Org/Model-1b", "Org/Model", False),
        ("Org/Model-1b", "", False),
        ("Org/Model-1b", "/data/Model-1b/checkpoint-7", False),
        (SNAPSHOT, "/cache/hub/models--Org--Model-2b/snapshots/0f3a", False),
    ],
)
def test_the_model_a_head_was_trained_for(base_model, model_name, is_same):
    model, head = tiny_model("llama"), make_head(base_model=base_model)
    model.name_or_path = model_name
    if is_same:
        assert len(run(model, "No", head)) == 1
        return
    with pytest.raises(ValueError) as caught:
        run(model, "No", head)
    message = str(caught.value)
    assert f"trained for the model {base_model!r}, this one is {model_name!r}" in message
    assert "set head.base_model = None" in message
    head.base_model = None  # what the error proposes works
    assert len(run(model, "No", head)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_beams", 2),
        ("num_beam_groups", 2),
        ("constraints", [object()]),
        ("force_words_ids", [[5]]),
        ("streamer", object()),
        ("assistant_model", object()),
        ("prompt_lookup_num_tokens", 1),
        ("prompt_lookup_num_tokens", 3),
        ("assistant_early_exit", 1),
        ("penalty_alpha", 0.6),
        ("dola_layers", "high"),
        ("guidance_scale", 1.5),
    ],
)
def test_ways_of_decoding_that_cannot_be_scored(name, value):
    model = tiny_model("llama")
    counter = CountTokens(model)
    with pytest.raises(ValueError, match=f"^{name} cannot be used with best-of-N scoring: .*leave"):
        run(model, **{name: value})
    assert counter.num_tokens == 0


@pytest.mark.parametrize(
    "setting",
    [{"num_beams": 3}, {"prompt_lookup_num_tokens": 1}, {"guidance_scale": 2.0}],
    ids=str,
)
def test_ways_of_decoding_that_a_config_asks_for(setting):
    (name,) = setting
    config = GenerationConfig(max_new_tokens=4, do_sample=True, **setting)
    with pytest.raises(ValueError, match=f"^{name} cannot be used"):
        run(generation_config=config)


@pytest.mark.parametrize(
    "name", ["custom_generate", "inputs", "input_ids", "attention_mask", "tokenizer"]
)
def test_arguments_that_best_of_n_sets_itself(name):
    model, kwargs = tiny_model("llama"), {name: object()}
    if name == "tokenizer":  # named in the signature
        with pytest.raises(TypeError, match="multiple values for argument 'tokenizer'"):
            best_of_n(model, tiny_tokenizer(), "No", make_head(), N, **kwargs)
    else:
        with pytest.raises(ValueError, match=f"^{name} is set by best_of_n itself; leave it out"):
            run(model, **kwargs)


def test_return_dict_belongs_to_the_other_interface():
    with pytest.raises(ValueError, match=r"return_dict_in_generate.*BestOfNDecoding\(head\)"):
        run(return_dict_in_generate=True)


def test_a_reader_of_a_refused_stream_does_not_wait():
    streamer = TextIteratorStreamer(tiny_tokenizer(), timeout=30)
    with pytest.raises(ValueError, match="^streamer cannot be used"):
        run(streamer=streamer)
    assert list(streamer) == [""]


def test_encoder_decoder_models_are_refused():
    config = transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=32, num_layers=3, num_heads=4
    )
    config.decoder_start_token_id = PAD
    model = build(transformers.T5ForConditionalGeneration, config)
    with pytest.raises(ValueError, match="T5ForConditionalGeneration is an encoder-decoder"):
        run(model)
