"""What `best_of_n` refuses: counts, other ways of decoding, arguments that it sets itself."""

import pytest
import transformers
from transformers import GenerationConfig, TextIteratorStreamer

from best_of_cases import N, assert_same, run
from decoding_cases import make_head
from model_probes import TokenCounter
from swift_bon import best_of_n
from tiny_models import PAD, build, tiny_model, tiny_tokenizer


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
    counter = TokenCounter(model)
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
    ("name", "value", "off"),
    [
        ("num_beams", 4, 1),
        ("guidance_scale", 1.5, 1),
        ("prompt_lookup_num_tokens", 2, None),
        ("dola_layers", "low", None),
    ],
)
def test_ways_of_decoding_that_the_model_is_configured_for(name, value, off):
    model = tiny_model("llama")
    expected = run(model)
    setattr(model.generation_config, name, value)
    advice = f"it is set in the model's generation_config; pass {name}={off}"
    with pytest.raises(ValueError, match=f"^{name} cannot be used with best-of-N .*{advice}"):
        run(model)
    assert_same(run(model, **{name: off}), expected)  # what the error proposes works
    with pytest.raises(ValueError, match=f"^{name} cannot .*leave it out"):
        run(model, **{name: value})


def test_a_constraint_that_is_given_rows_is_for_one_prompt():
    def by_row(row, ids):
        return range(6, 16) if row else range(16, 26)

    with pytest.raises(ValueError, match="^prefix_allowed_tokens_fn is given the row of a batch"):
        run(prompts=["No", "Is it?"], prefix_allowed_tokens_fn=by_row)


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


def test_models_that_write_in_a_way_of_their_own_are_refused():
    model = tiny_model("llama")
    model.generate = lambda input_ids, **kwargs: input_ids  # as one that denoises whole blocks
    with pytest.raises(TypeError, match="LlamaForCausalLM.generate returned a Tensor"):
        run(model)
