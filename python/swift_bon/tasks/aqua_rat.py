r"""AQuA-RAT: algebra with five options (Ling et al., arXiv 1705.04146)."""

from typing import Any

from swift_bon.graders import letters
from swift_bon.tasks.dataset_task import Asked, DatasetTask, Part
from swift_bon.tasks.rows import field, texts

PROMPT = (
    "Solve this multiple-choice problem step by step, then choose one of the options. "
    "End with the letter of your choice, written as \\boxed{{letter}}.\n\n{question}\n\n{options}"
)
DATASET = "deepmind/aqua_rat"


def read(row: dict[str, Any], where: str) -> Asked:
    """`question`, `options` ("A)21", ...) and `correct`, a letter."""
    question = field(row, "question", str, where)
    options = "\n".join(texts(row, "options", where))
    answer = field(row, "correct", str, where).strip()
    return Asked(PROMPT.format(question=question, options=options), answer)


# Validation and test are 254 rows each; the paper tests on the first 500 of both.
TASK = DatasetTask(
    "aqua_rat",
    {
        "train": (Part(DATASET, "raw", "train", "aqua_rat/train"),),
        "test": tuple(
            Part(DATASET, "raw", split, f"aqua_rat/{split}") for split in ("validation", "test")
        ),
    },
    read,
    letters,
)
