"""Tasks: questions whose answers a program can check."""

from swift_bon.tasks import basics
from swift_bon.tasks.question import Grade, Question, Task

__all__ = ["TASKS", "Grade", "Question", "Task", "load_task"]

TASKS: dict[str, Task] = {"basics": basics}


def load_task(name: str) -> Task:
    """The task of that name; ValueError for a name that is not in `TASKS`."""
    if name not in TASKS:
        raise ValueError(f"task is {name!r}, expected one of: {', '.join(sorted(TASKS))}")
    return TASKS[name]
