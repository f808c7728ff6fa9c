"""Which model this is, and whether a head or a file belongs to it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor
from transformers import PreTrainedModel

from swift_bon.candidates.files import check_has_prompts
from swift_bon.storage import short_digest
from swift_kernels import RewardHead
from swift_kernels.input_checks import check_reads_states

MODEL_PATH_SNAPSHOT = re.compile(r"models--(.+)/snapshots/[^/]+/?$")

WEIGHTS_PROBED = 16  # of each parameter: enough to tell two checkpoints apart


def check_decoder_only(model: PreTrainedModel) -> None:
    if model.config.is_encoder_decoder:
        raise ValueError(
            f"{type(model).__name__} is an encoder-decoder model, expected a decoder-only one"
        )


def check_head_fits(head: RewardHead, model: PreTrainedModel) -> None:
    """The head's layers, hidden size and base model are the model's."""
    if not isinstance(head, RewardHead):
        raise TypeError(
            f"head is {type(head).__name__}, expected a RewardHead; "
            "load one with RewardHead.from_pretrained"
        )
    check_reads_states(head)
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


def model_name(model: PreTrainedModel) -> str:
    """The hub id or path a model was loaded from."""
    return model.name_or_path or ""


def _short_name(name: str) -> str:
    """Last part of a hub id, a path, or a folder of the hub's cache."""
    snapshot = MODEL_PATH_SNAPSHOT.search(name.replace("\\", "/"))
    name = snapshot.group(1).replace("--", "/") if snapshot else name
    return name.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1].lower()


def context_length(model: PreTrainedModel) -> float:
    """Tokens of the longest text the model can read; infinite where it does not say."""
    config = model.config.get_text_config(decoder=True)
    return getattr(config, "max_position_embeddings", None) or float("inf")


def check_training_data(
    prompts: Sequence, header: Mapping[str, Any], name: str, path: str | Path
) -> None:
    """The candidates were written by this model, and there is something to learn from."""
    check_has_prompts(prompts, path)
    if _short_name(header.get("model", "")) != _short_name(name):
        raise ValueError(
            f"{path} was written by the model {header.get('model')!r}, this one is {name!r}; "
            "a head is trained on the states of the model that wrote the candidates"
        )


def embedding_matrix(model: PreTrainedModel) -> Tensor:
    """`[V, H]`: how many token ids the model knows, and the device that they go to."""
    return cast(Tensor, model.get_input_embeddings().weight)


def num_hidden_layers(model: PreTrainedModel) -> int:
    return model.config.get_text_config(decoder=True).num_hidden_layers


def weights_digest(model: PreTrainedModel) -> str:
    """Tells two checkpoints of one name apart: of a few values of every parameter.

    Of parameters that are not in memory (on the device "meta", where weights are offloaded) only
    names and shapes.
    """
    return short_digest(*_probes(model))


def _probes(model: PreTrainedModel) -> Iterator[str | bytes]:
    for name, parameter in model.named_parameters():
        yield f"{name}{tuple(parameter.shape)}"
        if parameter.is_meta:
            continue
        values = parameter.detach().flatten()
        step = max(1, len(values) // WEIGHTS_PROBED)
        yield values[::step].float().cpu().numpy().tobytes()
