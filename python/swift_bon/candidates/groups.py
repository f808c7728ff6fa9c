"""Which prompts ask for one thing, and on which side of a split they stand together."""

from collections.abc import Callable, Sequence

from swift_bon.candidates.records import PromptCandidates, PromptLabels
from swift_bon.tasks.registry import TASKS


def groups_of(prompts: Sequence[PromptCandidates | PromptLabels], task: str) -> list[str]:
    """The group of each prompt, by what its task says.

    Prompts of the same text form a group where the task is unknown, or has no groups.

    Raises:
        ValueError: a prompt whose id is none of its task.
    """
    group = getattr(TASKS.get(task), "group", None)
    if group is None:
        return [prompt.prompt_digest for prompt in prompts]
    return [_group_in_task(prompt.id, task, group) for prompt in prompts]


def _group_in_task(prompt_id: str, task: str, group: Callable[[str], str]) -> str:
    try:
        return group(prompt_id)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"the task {task!r} has no question {prompt_id!r}; give the candidates another name of "
            "a task in their header, and prompts of the same text will be kept together"
        ) from error
