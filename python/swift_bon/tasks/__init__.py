"""Tasks: questions whose answers a program can check."""

from swift_bon.graders.question import Grade, Question
from swift_bon.tasks.dataset_task import DatasetTask, warn_of_unparsable
from swift_bon.tasks.registry import TASKS, load_task
from swift_bon.tasks.task import Loaded, Task, Unparsable, load_questions

__all__ = [
    "TASKS",
    "DatasetTask",
    "Grade",
    "Loaded",
    "Question",
    "Task",
    "Unparsable",
    "load_questions",
    "load_task",
    "warn_of_unparsable",
]
