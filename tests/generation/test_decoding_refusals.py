"""What `BestOfNDecoding` refuses: other ways of decoding, other models, other heads."""

import threading

import pytest
import torch
import transformers
from transformers import GenerationConfig, TextIteratorStreamer, TextStreamer

from decoding_cases import NUM_LAYERS, PROMPTS, assert_scored, generate, make_head
from model_probes import TokenCounter
from swift_bon import BestOfNDecoding
from swift_kernels import RewardHead
from tiny_models import PAD, SHAPE, build, tiny_model, tiny_tokenizer


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


def test_a_streamer_is_refused_behind_a_function_of_ones_own():
    model, method = tiny_model("llama"), BestOfNDecoding(make_head())

    def wrapped(*args, **kwargs):
        return method(*args, **kwargs)

    with pytest.raises(ValueError, match="^streamer cannot be used"):
        model.generate(
            torch.tensor([PROMPTS[0]]),
            custom_generate=wrapped,
            max_new_tokens=2,
            streamer=TextStreamer(tiny_tokenizer()),
        )


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
