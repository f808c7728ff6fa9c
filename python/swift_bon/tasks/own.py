"""A user's own questions: a file of prompts and references, with a grader of the user's choice."""

from typing import Any

from swift_bon.graders import words
from swift_bon.tasks.dataset_task import Asked, DatasetTask
from swift_bon.tasks.rows import field


def read(row: dict[str, Any], where: str) -> Asked:
    """`prompt`, asked as it is, `reference`, and `id` if there is one.

    A reference may be a number, as in {"prompt": "What is 6 x 7?", "reference": 42}.
    """
    prompt = field(row, "prompt", str, where)
    if not prompt.strip():
        raise ValueError(f"{where}: prompt is empty, expected some text")
    reference = field(row, "reference", (str, int, float), where)
    question_id = field(row, "id", (str, int), where) if "id" in row else None
    return Asked(prompt, str(reference), None if question_id is None else str(question_id))


TASK = DatasetTask("own", {}, read, words)
