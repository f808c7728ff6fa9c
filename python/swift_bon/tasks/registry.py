"""Tasks by their names."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from swift_bon.graders.question import Grade, Question
from swift_bon.graders.registry import Grader, load_grader
from swift_bon.tasks import (
    aqua_rat,
    basics,
    code_comprehension,
    coin_flip,
    gsm8k,
    hellaswag,
    math_problems,
    own,
)
from swift_bon.tasks.dataset_task import DatasetTask
from swift_bon.tasks.task import Task

TASKS: dict[str, Task] = {
    "basics": basics,
    "gsm8k": gsm8k.TASK,
    "math": math_problems.TASK,
    "aqua_rat": aqua_rat.TASK,
    "hellaswag": hellaswag.TASK,
    "coin_flip": coin_flip.TASK,
    "code_comprehension": code_comprehension.TASK,
    "own": own.TASK,
}


def load_task(
    name: str,
    data: str | Path | None = None,
    grader: str | Callable[[Question, str], Grade | bool] | Grader | None = None,
) -> Task:
    """The task of that name.

    Args:
        name: one of `TASKS`; "own" for questions of your own, in a file with the fields `prompt`,
            `reference` and, if you like, `id`.
        data: a file of JSON lines, or with one JSON list, to take in place of the hub; the fields
            are those on the hub.
        grader: in place of the task's own; see `swift_bon.graders.load_grader`.

    Raises:
        ValueError: no such task or grader, or `basics` with a file or a grader, or "own" without
            a file.
        FileNotFoundError: there is no such file.

    >>> from swift_bon.tasks import load_task
    >>> task = load_task("basics")
    >>> question = task.questions("test")[0]
    >>> task.grade(question, f"It is {question.reference}.").correct
    True
    """
    if name not in TASKS:
        raise ValueError(f"task is {name!r}, expected one of: {', '.join(TASKS)}")
    task = TASKS[name]
    if data is not None and not Path(data).is_file():
        raise FileNotFoundError(
            f"data is {str(data)!r}, expected a file of JSON lines, or with one JSON list"
        )
    if isinstance(task, DatasetTask):
        if name == "own" and data is None:
            raise ValueError(
                "task is 'own' without data; give a file of JSON lines with prompt and reference"
            )
        if data is not None:
            task = dataclasses.replace(task, data=Path(data))
        return task if grader is None else dataclasses.replace(task, grader=load_grader(grader))
    for argument, value in (("data", data), ("grader", grader)):
        if value is not None:
            shown = str(value) if isinstance(value, Path) else value
            raise ValueError(
                f"{argument} is {shown!r}, but the task {name!r} has its own; leave it out, or use "
                "the task 'own'"
            )
    return task
