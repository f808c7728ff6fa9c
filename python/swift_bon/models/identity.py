"""Which model this is, and whether a head or a file belongs to it."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from transformers import PreTrainedModel

from swift_bon.candidates.files import check_has_prompts
from swift_bon.models.comparison import Identity, Verdict, compare
from swift_bon.models.model_checks import check_model
from swift_bon.models.sampled_weights import decode, take_fingerprint
from swift_bon.models.wrappers import bare_model
from swift_kernels import RewardHead
from swift_kernels.input_checks import check_reads_states

HEADER_FINGERPRINT = "model_fingerprint"  # of a candidates file, where its header has one

_told: WeakKeyDictionary[Any, set[tuple[str, str]]] = WeakKeyDictionary()


class UnprovenModelWarning(UserWarning):
    """A head or a file may be of this model, which is not proven: see what the words say.

    >>> import warnings
    >>> from swift_bon.models import UnprovenModelWarning
    >>> warnings.simplefilter("error", UnprovenModelWarning)  # to be stopped instead
    """


def head_fit(head: RewardHead, model: PreTrainedModel) -> Verdict:
    """How this model stands to the one that a head was trained for."""
    shape = _shape_differs(head, model)
    if shape:
        return Verdict("other", shape)
    if not head.base_model and head.base_model_fingerprint is None:
        return Verdict("unproven", "the head does not say which model it was trained for")
    trained_for = as_identity(head.base_model, head.base_model_fingerprint, "the head")
    return compare(trained_for, identify(model))


def check_head_fits(head: RewardHead, model: PreTrainedModel) -> None:
    """The head's layers, hidden size and base model are the model's.

    Warns, once for a head and a model, where that is not proven.
    """
    if not isinstance(head, RewardHead):
        raise TypeError(
            f"head is {type(head).__name__}, expected a RewardHead; "
            "load one with RewardHead.from_pretrained"
        )
    check_reads_states(head)
    check_model(model)
    shape = _shape_differs(head, model)
    if shape:
        raise ValueError(
            f"{shape}; use a head trained for this model (this one: {head.base_model!r})"
        )
    verdict = head_fit(head, model)
    words = (
        f"head was trained for the model {head.base_model!r}, this one is {model_name(model)!r}: "
        f"{verdict.words}"
    )
    if verdict.fit == "other":
        unset = "head.base_model = None"
        if head.base_model_fingerprint is not None:
            unset = "head.base_model = head.base_model_fingerprint = None"
        raise ValueError(
            f"{words}; use a head trained for it, or if it is meant for these weights set {unset}"
        )
    if verdict.fit != "same" and (head.base_model or head.base_model_fingerprint):
        _warn(f"{words}; {_remedy(verdict, 'head')}", model, head.digest())


def _remedy(verdict: Verdict, made: str) -> str:
    if verdict.fit != "unproven":
        return f"compare with what plain sampling gets before you trust the {made}, or make it anew"
    if made != "head":
        return "make sure that they are the same weights"
    return (
        "if they are the same weights, set head.base_model_fingerprint = "
        "swift_bon.models.fingerprint(model) and save the head"
    )


def _warn(words: str, model: Any = None, mark: str = "") -> None:
    """Once for a model and what it is used with."""
    if model is not None:
        told = _told.setdefault(bare_model(model), set())
        if (mark, words) in told:
            return
        told.add((mark, words))
    warnings.warn(words, UnprovenModelWarning, stacklevel=4)


def _shape_differs(head: RewardHead, model: PreTrainedModel) -> str:
    config = model.config.get_text_config(decoder=True)
    shape = config.num_hidden_layers + 1, config.hidden_size
    if (head.num_layers, head.hidden_size) == shape:
        return ""
    return (
        f"head expects {head.num_layers} hidden states of size {head.hidden_size}, the model "
        f"{model_name(model)!r} has {shape[0]} of size {shape[1]}"
    )


def identify(model: Any) -> Identity:
    """A model's name and its fingerprint."""
    return Identity(model_name(model), take_fingerprint(model))


def as_identity(name: str | None, fingerprint: str | None, where: str | Path) -> Identity:
    """What a head or a file, `where`, says of its model.

    Raises:
        ValueError: the fingerprint is damaged.
    """
    try:
        return Identity(name or "", None if fingerprint is None else decode(fingerprint))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def model_name(model: Any) -> str:
    """The hub id or path a model was loaded from."""
    return bare_model(model).name_or_path or ""


def context_length(model: PreTrainedModel) -> float:
    """Tokens of the longest text the model can read; infinite where it does not say."""
    config = model.config.get_text_config(decoder=True)
    length = getattr(config, "max_position_embeddings", None) or -1
    return float("inf") if length < 0 else length  # XLNet says -1


def check_written_by(
    header: Mapping[str, Any], now: Identity, path: str | Path, model: Any = None
) -> None:
    """The candidates of a file were written by this model. Warns where that is not proven."""
    writer = as_identity(header.get("model"), header.get(HEADER_FINGERPRINT), path)
    verdict = compare(writer, now)
    words = (
        f"{path} was written by the model {header.get('model')!r}, this one is {now.name!r}: "
        f"{verdict.words}"
    )
    if verdict.fit == "other":
        raise ValueError(
            f"{words}; a head is trained on the states of the model that wrote the candidates"
        )
    if verdict.fit != "same":
        _warn(f"{words}; {_remedy(verdict, 'file')}", model, str(path))


def check_name_of_writer(header: Mapping[str, Any], name: str, path: str | Path) -> None:
    """As `check_written_by`, before a model is loaded: where names are all that will be known."""
    if HEADER_FINGERPRINT not in header:
        known = Identity(name)
        if compare(Identity(header["model"]), known).fit == "other":
            check_written_by(header, known, path)


def check_training_data(
    prompts: Sequence,
    header: Mapping[str, Any],
    now: Identity,
    path: str | Path,
    model: Any = None,
) -> None:
    """The candidates were written by this model, and there is something to learn from."""
    check_has_prompts(prompts, path)
    check_written_by(header, now, path, model)


def num_hidden_layers(model: PreTrainedModel) -> int:
    return model.config.get_text_config(decoder=True).num_hidden_layers
