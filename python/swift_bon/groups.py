"""Which prompts ask for one thing, and on which side of a split they stand together."""

from collections.abc import Sequence

from swift_bon.candidates import PromptCandidates, PromptLabels
from swift_bon.sampling import stream_seed
from swift_bon.tasks import TASKS


def groups_of(prompts: Sequence[PromptCandidates | PromptLabels], task: str) -> list[str]:
    """The group of each prompt, by what its task says; of an unknown task each prompt alone."""
    if task not in TASKS:
        return [prompt.id for prompt in prompts]
    return [TASKS[task].group(prompt.id) for prompt in prompts]


def split_rank(group: str) -> float:
    """From 0 to 1, by its name alone: a group is held out if it ranks below the share held out."""
    return stream_seed("split", group) / 2**63
