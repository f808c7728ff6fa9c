"""What the tests of commands share: a model and a head for it, on the disk."""

from pathlib import Path

import torch

from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer


def save_model_and_head(folder: Path) -> Path:
    """`folder/model` and `folder/head`; returns the folder."""
    tiny_model("llama").save_pretrained(folder / "model")
    tiny_tokenizer().save_pretrained(folder / "model")
    torch.manual_seed(0)
    RewardHead(4, 32).save_pretrained(folder / "head")
    return folder
