"""Ways of decoding that cannot be scored, and arguments that `best_of_n` sets itself."""

from typing import Any, NoReturn

from transformers import GenerationConfig, PreTrainedModel
from transformers.generation.configuration_utils import GenerationMode
from transformers.generation.streamers import BaseStreamer

from swift_bon.generation.batch_proof import prove_batches
from swift_bon.models.model_checks import check_model
from swift_bon.models.prefix import CACHE_NAMES, find_cache
from swift_bon.models.wrappers import bare_model
from swift_kernels import RewardHead

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
SET_BY_US = (
    *("custom_generate", "inputs", "input_ids", "inputs_embeds", "attention_mask", "position_ids"),
    *("token_type_ids", "tokenizer"),
    *(*CACHE_NAMES, "cache_position", "cache_params"),
)
OFF_AT_ONE = ("num_beams", "num_beam_groups", "guidance_scale")


def refuse(name: str, value: object = None, *, is_configured: bool = False) -> NoReturn:
    """Refuse an argument by name. A stream is ended, or its reader would wait for ever.

    `is_configured`: it was not passed, the model brings it along.
    """
    if isinstance(value, BaseStreamer):
        value.end()
    advice = "leave it out"
    if is_configured:
        off = 1 if name in OFF_AT_ONE else None
        advice = f"it is set in the model's generation_config; pass {name}={off}"
    raise ValueError(
        f"{name} cannot be used with best-of-N scoring: {UNSCORABLE[name]}; "
        f"{advice}, sampling and greedy decoding can be scored"
    )


def check_generate_kwargs(generate_kwargs: dict[str, Any], num_prompts: int = 1) -> None:
    """Arguments of `best_of_n` that cannot be scored, or that it sets itself."""
    for name, value in generate_kwargs.items():
        if name in UNSCORABLE and _is_on(name, value):
            refuse(name, value)
    for name in SET_BY_US:
        if generate_kwargs.get(name) is not None:
            raise ValueError(f"{name} is set by best_of_n itself; leave it out")
    if num_prompts > 1 and generate_kwargs.get("prefix_allowed_tokens_fn") is not None:
        raise ValueError(
            "prefix_allowed_tokens_fn is given the row of a batch, which does not tell which of "
            f"{num_prompts} prompts it is asked for; call best_of_n for each prompt"
        )
    top_p = generate_kwargs.get("top_p")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, expected a share above 0 and up to 1, which keeps all")
    top_k = generate_kwargs.get("top_k")
    if top_k is not None and top_k < 0:
        raise ValueError(f"top_k is {top_k}, expected at least 0, which keeps all tokens")
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
    model: PreTrainedModel,
    head: RewardHead | None,
    generation_config: GenerationConfig,
    model_kwargs: dict[str, Any],
) -> None:
    """Refuse, by name, a way of decoding whose states are not those of the returned tokens."""
    check_model(model)
    if generation_config.get_generation_mode() not in SCORED_MODES:
        _refuse_asked(_mode_argument(generation_config), generation_config, model)
    if _is_on("guidance_scale", generation_config.guidance_scale):
        _refuse_asked("guidance_scale", generation_config, model)
    if head is not None and not prove_batches(model).feeds_text:
        raise ValueError(
            f"{type(model).__name__} feeds other tokens to itself than it has written (its "
            "prepare_inputs_for_generation adds some), so their states cannot be scored; use a "
            "model that reads its own text"
        )
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


def _refuse_asked(name: str, asked: GenerationConfig, model: PreTrainedModel) -> NoReturn:
    value = getattr(asked, name, None)
    own = getattr(bare_model(model).generation_config, name, None)
    refuse(name, is_configured=_is_on(name, own) and own == value)


def _mode_argument(generation_config: GenerationConfig) -> str:
    for name in UNSCORABLE:
        if _is_on(name, getattr(generation_config, name, None)):
            return name
    return "num_beams"


def _is_on(name: str, value: object) -> bool:
    """Whether an argument out of `UNSCORABLE` asks for what it stands for."""
    return value not in (None, False) and not (name in OFF_AT_ONE and value == 1)
