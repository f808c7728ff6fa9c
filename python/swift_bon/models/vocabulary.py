"""Which token ids a model takes, on which device, and which of them may stand for padding."""

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from swift_bon.models.chat_templates import text_tokenizer
from swift_bon.models.wrappers import bare_model


def num_token_ids(model: Any) -> int:
    """How many token ids the model knows, from 0: rows of its embedding."""
    bare = bare_model(model)
    rows = _num_rows(bare.get_input_embeddings())
    return bare.config.get_text_config(decoder=True).vocab_size if rows is None else rows


def _num_rows(module: Any) -> int | None:
    """Of an embedding, or of a head over the vocabulary, also of a quantised one: of what it says
    rather than of its weight, which may be packed, cut in pieces, or have another name."""
    if hasattr(module, "get_base_layer"):  # of an adapter, whose own numbers are other ones
        module = module.get_base_layer()
    for name in ("num_embeddings", "out_features"):
        if isinstance(rows := getattr(module, name, None), int):
            return rows
    weight = getattr(module, "weight", None)
    return len(weight) if isinstance(weight, torch.Tensor) and weight.dim() == 2 else None


def input_device(model: Any) -> torch.device:
    """Where token ids go: the device of the embedding, or where it is brought to when it runs."""
    bare = bare_model(model)
    embedding = bare.get_input_embeddings()
    for module in (embedding, bare):
        device = _execution_device(module)
        if device is not None:
            return device
    parts = ((module.parameters(), module.buffers()) for module in (embedding, bare))
    tensors = itertools.chain.from_iterable(itertools.chain.from_iterable(parts))
    real = (tensor.device for tensor in tensors if not tensor.is_meta)
    return next(real, torch.device("cpu"))


def _execution_device(module: Any) -> torch.device | None:
    """What accelerate's hooks say, which keep weights elsewhere until a module runs."""
    hook = getattr(module, "_hf_hook", None)
    for each in (hook, *getattr(hook, "hooks", ())):
        device = getattr(each, "execution_device", None)
        if isinstance(device, int):
            accelerator = torch.accelerator.current_accelerator()
            return torch.device("cuda" if accelerator is None else accelerator.type, device)
        if device is not None:
            return torch.device(device)
    return None


def pad_token_id(tokenizer: PreTrainedTokenizerBase, model: Any) -> int:
    """Any id will do where attention is masked: the pad token, else the end token, else 0.

    A token that the tokenizer has and the model has not is none of them.
    """
    rows = _num_rows(bare_model(model).get_output_embeddings())
    known = range(min(num_token_ids(model), num_token_ids(model) if rows is None else rows))
    reader = text_tokenizer(tokenizer)
    for token_id in (reader.pad_token_id, reader.eos_token_id):
        if isinstance(token_id, int) and token_id in known:
            return token_id
    return 0


def choose_pad_token_id(
    model: Any, tokenizer: PreTrainedTokenizerBase, generate_kwargs: Mapping[str, Any]
) -> int:
    """The one that was asked for, else one that the model has.

    Raises:
        ValueError: the argument is none of the model's; a configuration's is passed over.
    """
    config = generate_kwargs.get("generation_config")
    known = range(num_token_ids(model))
    given = generate_kwargs.get("pad_token_id")
    if given is not None and given not in known:
        raise ValueError(
            f"pad_token_id is {given!r}, expected one of the model's token ids, 0 to "
            f"{known[-1]}; leave it out, padding is masked whatever it is"
        )
    for token_id in (given, getattr(config, "pad_token_id", None)):
        if isinstance(token_id, int) and token_id in known:
            return token_id
    return pad_token_id(tokenizer, model)
