"""Every input check of the package. Each error names what came, what was expected, what to do."""

import re
from collections.abc import Sequence
from typing import NoReturn

from transformers import GenerationConfig
from transformers.generation.configuration_utils import GenerationMode
from transformers.generation.streamers import BaseStreamer

from swift_bon.caches import find_cache
from swift_bon.candidates.files import check_has_prompts
from swift_kernels import RewardHead
from swift_kernels.checks import check_count

SCORED_MODES = (GenerationMode.SAMPLE, GenerationMode.GREEDY_SEARCH)
UNSCORABLE = {
    "streamer": "a stream shows one text, best-of-N chooses among many at the end",
    "num_beams": "beams are rearranged while they are written",
    "num_beam_groups": "beams are rearranged while they are written",
    "constraints": "it is a form of beam search",
    "force_words_ids": "it is a form of beam search",
    "assistant_model": "assisted decoding feeds tokens that are rejected later",
    "prompt_lookup_num_tokens": "assisted decoding feeds tokens that are rejected later",
    "assistant_early_exit": "assisted decoding feeds tokens that are rejected later",
    "penalty_alpha": "contrastive search runs the model on tokens that are dropped",
    "dola_layers": "DoLa decoding is not plain sampling",
    "guidance_scale": "classifier-free guidance runs the model twice for each token",
}
OFF_AT_ONE = ("num_beams", "num_beam_groups", "guidance_scale")
MODEL_PATH_SNAPSHOT = re.compile(r"models--(.+)/snapshots/[^/]+/?$")


def refuse(name: str, value=None) -> NoReturn:
    """Refuse an argument by name. A stream is ended, or its reader would wait for ever."""
    if isinstance(value, BaseStreamer):
        value.end()
    raise ValueError(
        f"{name} cannot be used with best-of-N scoring: {UNSCORABLE[name]}; "
        "leave it out, sampling and greedy decoding can be scored"
    )


def check_generate_kwargs(generate_kwargs: dict) -> None:
    """Arguments of `best_of_n` that cannot be scored, or that it sets itself."""
    for name, value in generate_kwargs.items():
        if name in UNSCORABLE and _is_on(name, value):
            refuse(name, value)
    for name in ("custom_generate", "inputs", "input_ids", "attention_mask", "tokenizer"):
        if name in generate_kwargs:
            raise ValueError(f"{name} is set by best_of_n itself; leave it out")
    max_length = generate_kwargs.get("max_length")
    config = generate_kwargs.get("generation_config")
    if generate_kwargs.get("max_new_tokens", getattr(config, "max_new_tokens", None)) is None:
        max_length = max_length or getattr(config, "max_length", None)
    if max_length is not None:
        raise ValueError(
            f"max_length is {max_length}, which counts the padding of a batch, "
            "so that what is written would depend on batch_size; use max_new_tokens"
        )
    if generate_kwargs.get("return_dict_in_generate"):
        raise ValueError(
            "return_dict_in_generate is not for best_of_n, which returns candidates; "
            "use model.generate(..., custom_generate=BestOfNDecoding(head))"
        )


def check_decoding(
    model, head: RewardHead | None, generation_config: GenerationConfig, model_kwargs: dict
) -> None:
    """Refuse, by name, a way of decoding whose states are not those of the returned tokens."""
    check_decoder_only(model)
    if generation_config.get_generation_mode() not in SCORED_MODES:
        refuse(_mode_argument(generation_config))
    if _is_on("guidance_scale", generation_config.guidance_scale):
        refuse("guidance_scale")
    cache = find_cache(model_kwargs)
    needs_last_token = head is not None and head.scored_tokens == "response"
    if needs_last_token and getattr(cache, "is_compileable", False):
        raise ValueError(
            f"cache_implementation is {generation_config.cache_implementation!r}, which has no "
            "room for the last token that a head with scored_tokens='response' needs; "
            "use the default dynamic cache"
        )
    if needs_last_token and cache is None and model_kwargs.get("use_cache"):
        raise ValueError(
            f"{type(model).__name__} makes a cache of its own, out of reach for the last token "
            "that a head with scored_tokens='response' needs; pass use_cache=False"
        )


def check_decoder_only(model) -> None:
    if model.config.is_encoder_decoder:
        raise ValueError(
            f"{type(model).__name__} is an encoder-decoder model, expected a decoder-only one"
        )


def _mode_argument(generation_config: GenerationConfig) -> str:
    for name in UNSCORABLE:
        if _is_on(name, getattr(generation_config, name, None)):
            return name
    return "num_beams"


def _is_on(name: str, value) -> bool:
    """Whether an argument out of `UNSCORABLE` asks for what it stands for."""
    return value not in (None, False) and not (name in OFF_AT_ONE and value == 1)


def check_head_fits(head: RewardHead, model) -> None:
    """The head's layers, hidden size and base model are the model's."""
    if not isinstance(head, RewardHead):
        raise TypeError(
            f"head is {type(head).__name__}, expected a RewardHead; "
            "load one with RewardHead.from_pretrained"
        )
    if head.feature != "hidden_states":
        raise ValueError(
            f"head reads {head.feature}, only heads on hidden_states are scored while generating"
        )
    config = model.config.get_text_config(decoder=True)
    num_layers = config.num_hidden_layers + 1
    if (head.num_layers, head.hidden_size) != (num_layers, config.hidden_size):
        raise ValueError(
            f"head expects {head.num_layers} hidden states of size {head.hidden_size}, the model "
            f"{model_name(model)!r} has {num_layers} of size {config.hidden_size}; "
            f"use a head trained for this model (this one: {head.base_model!r})"
        )
    if head.base_model and _short_name(head.base_model) != _short_name(model_name(model)):
        raise ValueError(
            f"head was trained for the model {head.base_model!r}, this one is "
            f"{model_name(model)!r}; use a head trained for it, or if both names mean the same "
            "weights set head.base_model = None"
        )


def model_name(model) -> str:
    """The hub id or path a model was loaded from."""
    return model.name_or_path


def _short_name(name: str) -> str:
    """Last part of a hub id, a path, or a folder of the hub's cache."""
    snapshot = MODEL_PATH_SNAPSHOT.search(name.replace("\\", "/"))
    name = snapshot.group(1).replace("--", "/") if snapshot else name
    return name.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1].lower()


def check_prompts(prompts) -> list[list[dict]]:
    """Any accepted form of prompts as a list of chats."""
    if isinstance(prompts, str) or (
        isinstance(prompts, Sequence) and prompts and isinstance(prompts[0], dict)
    ):
        prompts = [prompts]
    if not isinstance(prompts, Sequence):
        raise TypeError(
            f"prompts is {type(prompts).__name__}, expected a string, chat messages, or a list"
        )
    return [_as_chat(prompt, index) for index, prompt in enumerate(prompts)]


def _as_chat(prompt, index: int) -> list[dict]:
    if isinstance(prompt, str):
        if not prompt.strip():
            raise ValueError(f"prompts[{index}] is empty, expected some text")
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, Sequence) or not all(
        isinstance(message, dict) and {"role", "content"} <= message.keys() for message in prompt
    ):
        raise TypeError(
            f"prompts[{index}] is {type(prompt).__name__}, expected a string or a list of messages "
            "{'role': ..., 'content': ...}"
        )
    if not prompt or not any(str(message["content"]).strip() for message in prompt):
        raise ValueError(f"prompts[{index}] is empty, expected at least one message with text")
    return list(prompt)


def check_chat_template(tokenizer) -> None:
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError(
            "the tokenizer has no chat template, so prompts cannot be rendered; set "
            "tokenizer.chat_template to the model's template, or for plain text to "
            "'{% for message in messages %}{{ message.content }}{% endfor %}'"
        )


def context_length(model) -> float:
    """Tokens of the longest text the model can read; infinite where it does not say."""
    config = model.config.get_text_config(decoder=True)
    return getattr(config, "max_position_embeddings", None) or float("inf")


def check_prompt_length(num_tokens: int, max_new_tokens: int | None, model, index: int) -> None:
    """A prompt and its response fit in the context of the model."""
    context = context_length(model)
    if num_tokens >= context:
        raise ValueError(
            f"prompts[{index}] has {num_tokens} tokens, the context of {model_name(model)!r} is "
            f"{context}; shorten it"
        )
    if max_new_tokens is not None and num_tokens + max_new_tokens > context:
        raise ValueError(
            f"prompts[{index}] has {num_tokens} tokens and max_new_tokens is {max_new_tokens}, "
            f"together more than the context of {model_name(model)!r}, {context}; shorten one"
        )


def check_limit(limit: int | None) -> None:
    if limit is not None:
        check_count(limit, "limit")




def check_training_data(prompts: Sequence, header: dict, name: str, path) -> None:
    """The candidates were written by this model, and there is something to learn from."""
    check_has_prompts(prompts, path)
    if _short_name(header.get("model", "")) != _short_name(name):
        raise ValueError(
            f"{path} was written by the model {header.get('model')!r}, this one is {name!r}; "
            "a head is trained on the states of the model that wrote the candidates"
        )


def check_count_of_questions(questions: int, available: int) -> None:
    check_count(questions, "questions")
    if questions > available:
        raise ValueError(f"questions is {questions}, the test split has {available}")


def check_rendered(ids: list[int], index: int) -> None:
    if not ids:
        raise ValueError(
            f"prompts[{index}] is empty once it is rendered; check tokenizer.chat_template"
        )
