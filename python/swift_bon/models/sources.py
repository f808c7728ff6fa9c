"""What a name of a model stands for, said before anything large is read or waited for."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from swift_bon.models.names import EMBEDDED_NAME
from swift_kernels.head_files import CONFIG_NAME
from swift_kernels.hub import not_found, why_unreachable

ADAPTER_NAME = "adapter_config.json"
HUB_ID = re.compile(r"(?:\w[\w.-]*/)?\w[\w.-]*")
RUNS_CODE = "trust_remote_code"  # in what transformers says of a checkpoint that needs it


def check_source(name: str, what: str, needed: str | None = None) -> None:
    """Refuse a folder that cannot be what is wanted, and what is neither folder nor hub id.

    Args:
        what: an error calls it.
        needed: a file that the folder must have.
    """
    folder = Path(name)
    if name == EMBEDDED_NAME:
        return
    if folder.is_dir():
        names = sorted(file.name for file in folder.iterdir())
        if not names or (needed is not None and needed not in names):
            raise FileNotFoundError(
                f"{what} is {name!r}, a folder without {needed or 'files'}; it holds {names[:8]}"
            )
    elif folder.exists():
        raise ValueError(f"{what} is {name!r}, a file; expected a folder or a hub id")
    elif not HUB_ID.fullmatch(name):
        raise FileNotFoundError(
            f"{what} is {name!r}: there is no such folder; expected one, {EMBEDDED_NAME!r}, or a "
            "hub id such as 'org/name'"
        )


@contextlib.contextmanager
def from_hub(name: str, what: str) -> Iterator[dict[str, bool]]:
    """Options of transformers for a name: no code runs, and a hub is not waited for in vain."""
    options = {"trust_remote_code": False}  # None would ask on the terminal
    if name == EMBEDDED_NAME or Path(name).is_dir():
        yield options
        return
    reason = why_unreachable()
    try:
        yield options | ({"local_files_only": True} if reason else {})
    except (OSError, ValueError) as error:
        if not reason or RUNS_CODE in str(error):
            raise
        raise not_found(name, what, reason, f"{EMBEDDED_NAME!r}, ") from error


def base_of_adapter(name: str) -> str | None:
    """The model that an adapter in a folder was trained for; None where there is no adapter alone.

    Raises:
        ValueError: the adapter does not say.
    """
    path = Path(name) / ADAPTER_NAME
    if not path.is_file() or (Path(name) / CONFIG_NAME).exists():
        return None
    try:
        base = json.loads(path.read_bytes())["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        base = None
    if not isinstance(base, str) or not base:
        raise ValueError(
            f"model is {name!r}, a folder with an adapter alone, and its {ADAPTER_NAME} does not "
            "name the base model; load that, then peft.PeftModel.from_pretrained(model, folder)"
        )
    return base


def no_tokenizer(name: str) -> ValueError:
    return ValueError(
        f"tokenizer is {name!r}, where there is none that can be read; save it beside the model: "
        f"tokenizer.save_pretrained({name!r})"
    )
