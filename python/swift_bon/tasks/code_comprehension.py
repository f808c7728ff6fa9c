r"""Code comprehension: what does this Python code do with this input? (imbue-ai)."""

from typing import Any

from swift_bon.graders import literals
from swift_bon.tasks.dataset_task import Asked, DatasetTask, Part
from swift_bon.tasks.rows import field, texts

PROMPT = (
    "Read the question about code below and go through it step by step. One of the choices is "
    "right. End with that choice, a valid Python literal, written as \\boxed{{choice}}.\n\n"
    "{question}\n\nChoices:\n{choices}"
)
DATASET = "imbue/code-comprehension"


def read(row: dict[str, Any], where: str) -> Asked:
    """`question`, `choices` and `correct_answer`, Python literals as text."""
    question = field(row, "question", str, where)
    choices = "\n".join(f"- {choice}" for choice in texts(row, "choices", where))
    answer = field(row, "correct_answer", str, where)
    return Asked(PROMPT.format(question=question, choices=choices), answer)


# The hub has a training split only. The paper takes its first 6,000 rows to train on and the next
# 500 to test on.
TASK = DatasetTask(
    "code_comprehension",
    {
        "train": (Part(DATASET, None, "train[:6000]", "code_comprehension/train"),),
        "test": (Part(DATASET, None, "train[6000:6500]", "code_comprehension/train", first=6000),),
    },
    read,
    literals,
)
