"""Heads by name: the one that ships, a folder, or a hub id."""

from pathlib import Path

from swift_bon.models import EMBEDDED_NAME
from swift_kernels import RewardHead

SHIPPED_HEADS = Path(__file__).parent / "trained_heads"


def load_head(name: str | None = None, *, model_name: str = EMBEDDED_NAME) -> RewardHead:
    """Load a head.

    Args:
        name: the name of a shipped head, a folder, or a hub id. None takes the head that ships
            for `model_name`.

    Raises:
        ValueError: None, and no head ships for that model.
        FileNotFoundError, ValueError: from `RewardHead.from_pretrained`.
    """
    shipped = {folder.name: folder for folder in SHIPPED_HEADS.glob("*/") if folder.is_dir()}
    if name is None:
        if model_name not in shipped:
            raise ValueError(
                f"no head ships for the model {model_name!r} (only for "
                f"{', '.join(sorted(shipped))}); give one with head, or train one"
            )
        name = model_name
    return RewardHead.from_pretrained(shipped.get(name, name))
