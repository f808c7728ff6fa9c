r"""CoinFlip: is the coin still heads up? (Wei et al., arXiv 2201.11903)."""

from typing import Any

from swift_bon.graders import booleans
from swift_bon.tasks.dataset_task import Asked, DatasetTask, Part
from swift_bon.tasks.rows import field

PROMPT = (
    "Answer the question below with yes or no. Follow what happens step by step, and end with "
    "\\boxed{{Yes}} or \\boxed{{No}}.\n\n{question}"
)


def read(row: dict[str, Any], where: str) -> Asked:
    """`inputs`, the question after "Q: ", and `targets`, "yes" or "no"."""
    question = field(row, "inputs", str, where).strip().removeprefix("Q:").strip()
    answer = field(row, "targets", str, where).strip()
    return Asked(PROMPT.format(question=question), answer)


TASK = DatasetTask(
    "coin_flip",
    {
        "train": (Part("skrishna/coin_flip", None, "train", "coin_flip/train"),),
        "test": (Part("skrishna/coin_flip", None, "validation", "coin_flip/validation"),),
    },
    read,
    booleans,
)
