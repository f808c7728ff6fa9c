r"""GSM8K: grade-school word problems (Cobbe et al., arXiv 2110.14168)."""

from typing import Any

from swift_bon.graders import mathematics
from swift_bon.tasks.dataset_task import Asked, DatasetTask, Part
from swift_bon.tasks.rows import field

PROMPT = (
    "Work out the following problem one step at a time. "
    "End with the answer, a single number, written as \\boxed{{number}}.\n\n{question}"
)
MARK = "####"


def read(row: dict[str, Any], where: str) -> Asked:
    """`question` and `answer`, a solution that ends with "#### 18", or 18 alone."""
    question = field(row, "question", str, where)
    answer = field(row, "answer", str, where).rpartition(MARK)[2].strip()
    return Asked(PROMPT.format(question=question), answer)


TASK = DatasetTask(
    "gsm8k",
    {
        split: (Part("openai/gsm8k", "main", split, f"gsm8k/{split}"),)
        for split in ("train", "test")
    },
    read,
    mathematics,
)
