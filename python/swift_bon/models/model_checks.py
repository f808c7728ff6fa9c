"""Whether what came as a model and a tokenizer is that, and can be scored; if not, why."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import Pipeline, PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.models.chat_templates import text_tokenizer
from swift_bon.models.wrappers import bare_model, check_adapter

LOAD = "load both with model, tokenizer = swift_bon.load_model("
NEEDED = ("config", "generate", "get_input_embeddings")  # of a model of another library
SPECIAL_TOKENS = ("pad_token_id", "eos_token_id")  # of a tokenizer, which may be None


def check_model_and_tokenizer(model: Any, tokenizer: Any) -> None:
    """As `check_model` and `check_tokenizer`."""
    check_model(model)
    check_tokenizer(tokenizer)


def check_model(model: Any) -> None:
    """A causal language model, whose hidden states are those of one text.

    Raises:
        TypeError, ValueError: something else; says what to pass in its place.
    """
    kind = type(model).__name__
    if isinstance(model, str | Path):
        raise TypeError(f"model is {str(model)!r}, expected a loaded model; {LOAD}{str(model)!r})")
    if isinstance(model, Pipeline):
        raise TypeError(f"model is a {kind}, expected a model; pass pipeline.model")
    if isinstance(model, PreTrainedTokenizerBase):
        raise TypeError(f"model is a tokenizer, {kind}; the model comes first, then the tokenizer")
    bare = bare_model(model)
    if isinstance(bare, PreTrainedModel):
        _check_task(bare)
    elif isinstance(getattr(bare, "module", None), nn.Module) and not hasattr(bare, "generate"):
        raise TypeError(
            f"model is wrapped in {type(bare).__name__}, which cannot generate; pass model.module"
        )
    elif isinstance(bare_model(getattr(bare, "pretrained_model", None)), PreTrainedModel):
        raise TypeError(
            f"model is a {type(bare).__name__}, which stands around a language model; "
            "pass model.pretrained_model"
        )
    elif not all(hasattr(bare, name) for name in NEEDED):
        raise TypeError(
            f"model is {kind}, expected a causal language model of transformers; {LOAD}...)"
        )
    check_adapter(model)
    check_decoder_only(bare)
    _check_states(bare)


def check_tokenizer(tokenizer: Any) -> None:
    """Something that renders chats and reads text."""
    if isinstance(tokenizer, str | Path):
        raise TypeError(f"tokenizer is {str(tokenizer)!r}, expected a loaded tokenizer; {LOAD}...)")
    if not callable(tokenizer) or not hasattr(tokenizer, "apply_chat_template"):
        raise TypeError(
            f"tokenizer is {'None' if tokenizer is None else type(tokenizer).__name__}, expected "
            f"the model's tokenizer; {LOAD}...)"
        )
    reader = text_tokenizer(tokenizer)
    missing = [name for name in SPECIAL_TOKENS if not hasattr(reader, name)]
    if missing:
        raise TypeError(
            f"tokenizer is {type(reader).__name__}, which has no {' and no '.join(missing)} (None "
            f"will do); expected the model's tokenizer; {LOAD}...)"
        )


def check_decoder_only(model: Any) -> None:
    if model.config.is_encoder_decoder:
        raise ValueError(
            f"{type(model).__name__} is an encoder-decoder model, expected a decoder-only one"
        )


def check_widths(model: Any, states: Sequence[Tensor]) -> None:
    """The hidden states are `[N, T, H]` with one H, the hidden size of the config."""
    hidden_size = model.config.get_text_config(decoder=True).hidden_size
    if all(state.ndim == 3 and state.shape[-1] == hidden_size for state in states):
        return
    widths = " and ".join(dict.fromkeys(str(state.shape[-1]) for state in states))
    raise ValueError(
        f"{type(model).__name__} {getattr(model, 'name_or_path', '')!r} has hidden states of width "
        f"{widths}, its hidden_size is {hidden_size}; expected all of them to be [N, T, "
        f"{hidden_size}]. Take another model, or make them so and score them with "
        "swift_kernels.score_candidates"
    )


def _check_task(model: PreTrainedModel) -> None:
    if model.config.is_encoder_decoder or model.can_generate():
        return
    raise ValueError(
        f"{type(model).__name__} has no language-model head, so that it cannot write candidates; "
        "load the checkpoint with AutoModelForCausalLM or swift_bon.load_model"
    )


def _check_states(model: Any) -> None:
    """A token has one state in each layer, and it is of the text before it alone."""
    name, config = type(model).__name__, model.config.get_text_config(decoder=True)
    num_streams = getattr(config, "altup_num_inputs", 1)
    if num_streams > 1:
        raise ValueError(
            f"{name} keeps {num_streams} streams of states for each token (AltUp, as Gemma 3n "
            "does), where a head reads one hidden state of each layer; take another model"
        )
    reads_ahead = getattr(config, "is_decoder", None) is False and any(
        getattr(module, "is_causal", None) is False for module in model.modules()
    )
    if reads_ahead:
        raise ValueError(
            f"{name} is an encoder: its states of a token are of the text after it, too; expected "
            "a decoder. If it was trained as one, load it with is_decoder=True in its config"
        )
