"""Files of a head: safetensors + config.json, and the paper's `.pt`. Nothing here runs code."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from swift_kernels.checks import check_tensors
from swift_kernels.hub import not_found, why_unreachable
from swift_kernels.tensor_pickles import read_tensor_pickle

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".pkl", ".ckpt")
# What safetensors raises on files that were cut, forged, or have dtypes that torch has not.
DAMAGED_SAFETENSORS = (SafetensorError, KeyError, TypeError, ValueError)
HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token")
CONFIG_KEYS = (
    "num_layers",
    "hidden_size",
    "gated",
    "layers",
    "base_model",
    "scored_tokens",
    "feature",
    "base_model_fingerprint",
)
MODEL_CARD_TEMPLATE = """---
# For reference on model card metadata, see https://hf.co/docs/hub/model-cards
{{ card_data }}
---

# SWIFT head{% if base_model %} for {{ base_model }}{% endif %}

A linear head that scores the candidates a language model writes from its own hidden states
(arXiv 2505.12225). Load it with `swift_kernels.RewardHead.from_pretrained`.

{{ training | default("How it was trained was not recorded.", true) }}
"""


@contextlib.contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, on the same disk; gone at the end unless it was renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A staging folder whose files move into `folder` at the end, each whole."""
    with staging_folder(folder) as staging:
        yield staging
        folder.mkdir(exist_ok=True)
        for file in sorted(staging.iterdir()):
            os.replace(file, folder / file.name)


def write(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Both files of a head, into a folder that is there."""
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    (folder / WEIGHTS_NAME).write_bytes(save_safetensors(contiguous, {"format": "pt"}))
    text = json.dumps({**config, "model_type": "swift_head"}, indent=2) + "\n"
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def check_options(options: Iterable[str]) -> None:
    """Refuse what `from_pretrained` does not take."""
    unknown = sorted(set(options) - {*HUB_OPTIONS, "device"})
    if unknown:
        raise TypeError(
            f"from_pretrained got {unknown[0]}, expected device, {', '.join(HUB_OPTIONS)}; "
            "what a head was trained for is read from its config.json"
        )


def check_source(source: str | Path) -> None:
    """Refuse what is neither a folder nor a hub id, in words that say what it is."""
    path = Path(source)
    if path.is_dir():
        missing = [name for name in (CONFIG_NAME, WEIGHTS_NAME) if not (path / name).is_file()]
        if missing:
            found = sorted(file.name for file in path.iterdir())
            raise FileNotFoundError(
                f"{path} misses {' and '.join(missing)}; it holds {found[:8]}. "
                + _pickle_hint(found)
            )
        _parse_config((path / CONFIG_NAME).read_bytes(), path)
    elif path.is_file():
        raise ValueError(
            f"{path} is a file, expected a folder with {CONFIG_NAME} and {WEIGHTS_NAME}, or a hub "
            f"id. {_pickle_hint([path.name])}"
        )
    elif path.is_absolute() or str(source).startswith((".", "~")) or str(source).count("/") > 1:
        raise FileNotFoundError(f"there is no folder {path}; expected a head's folder or a hub id")


@contextlib.contextmanager
def asked_of_the_hub(source: str | Path, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The options of a download, from the cache alone where the hub does not answer."""
    if Path(source).is_dir():
        yield dict(options)
        return
    reason = "local_files_only is set" if options.get("local_files_only") else why_unreachable()
    try:
        yield {**options, "local_files_only": True} if reason else dict(options)
    except LocalEntryNotFoundError as error:
        raise not_found(str(source), "head", reason or str(error)) from error


def _pickle_hint(names: list[str]) -> str:
    pickles = [name for name in names if name.endswith(PICKLE_SUFFIXES)]
    if not pickles:
        return "Save a head with RewardHead.save_pretrained"
    return (
        f"{pickles[0]} is a pickle, which is never executed here; a checkpoint of the paper's code "
        "is read by RewardHead.from_reference_checkpoint"
    )


def read(source: str, hub_options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The constructor's arguments and the weights, from a folder or the hub."""
    files = [
        os.path.join(source, name)
        if os.path.isdir(source)
        else hf_hub_download(source, name, **hub_options)
        for name in (CONFIG_NAME, WEIGHTS_NAME)
    ]
    config = _parse_config(Path(files[0]).read_bytes(), source)
    try:
        tensors = load_safetensors(Path(files[1]).read_bytes())
    except DAMAGED_SAFETENSORS as error:
        raise ValueError(
            f"{WEIGHTS_NAME} of {source} is damaged or not safetensors ({error}); "
            "save or download it again"
        ) from error
    return config, tensors


def _parse_config(content: bytes, source: str | Path) -> dict[str, Any]:
    try:
        config = json.loads(content.decode())  # as huggingface_hub reads it once more
    except (ValueError, RecursionError) as error:  # broken, not UTF-8, or nested too deep
        raise ValueError(f"{CONFIG_NAME} of {source} is not JSON: {error}") from error
    if not isinstance(config, dict) or not {"num_layers", "hidden_size"} <= config.keys():
        raise ValueError(
            f"{CONFIG_NAME} of {source} does not describe a head: "
            "expected num_layers and hidden_size"
        )
    return {key: config[key] for key in CONFIG_KEYS if key in config}


def read_reference_checkpoint(path: Path) -> tuple[dict[str, Tensor], bool]:
    """Tensors of the paper's `.pt`, and whether it has a gate."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a .pt file of the paper's code")
    tensors = read_tensor_pickle(path)
    return tensors, "fused_layer.weight" in tensors


def split_fused(
    tensors: dict[str, Tensor], num_layers: int, hidden_size: int, path: str | Path
) -> dict[str, Tensor]:
    """The paper's tensors under our names and shapes. Its row 0 is the gate, row 1 the reward."""
    gated = "fused_layer.weight" in tensors
    name, rows = ("fused_layer", 2) if gated else ("reward_layer", 1)
    width = num_layers * hidden_size
    check_tensors(tensors, {f"{name}.weight": (rows, width), f"{name}.bias": (rows,)}, path)
    weight = tensors[f"{name}.weight"].float().view(rows, num_layers, hidden_size)
    bias = tensors[f"{name}.bias"].float()
    split = {"reward_weight": weight[-1], "reward_bias": bias[-1]}
    return {**split, "gate_weight": weight[0], "gate_bias": bias[0]} if gated else split
