"""The version, said without loading what it is the version of."""

import importlib.util
import re
from pathlib import Path


def version() -> str:
    """`swift_kernels.__version__`, read out of the file: to import it is to load torch.

    What is installed may be another version than the checkout that runs, so nobody else is asked.
    """
    spec = importlib.util.find_spec("swift_kernels")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "swift_bon runs without swift_kernels beside it; install the project as a whole: "
            "pip install ."
        )
    text = Path(spec.origin).read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{spec.origin} has no line __version__ = ...; install the project again")
    return found[1]
