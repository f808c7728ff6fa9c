r"""HellaSwag: which of four endings continues a scene (Zellers et al., arXiv 1905.07830)."""

from typing import Any

from swift_bon.graders import letters
from swift_bon.tasks.dataset_task import Asked, DatasetTask, Part
from swift_bon.tasks.rows import field, texts

PROMPT = (
    "Below is the beginning of a scene and four ways it might go on. Think step by step about "
    "which one follows best. End with its letter, written as \\boxed{{letter}}.\n\n"
    "{context}\n\n{endings}"
)


def read(row: dict[str, Any], where: str) -> Asked:
    """`ctx`, `endings` and `label`, the number of the right ending; the hub's test has none."""
    endings = texts(row, "endings", where)
    label = str(field(row, "label", (str, int), where)).strip()
    is_ending = label.isdecimal() and int(label) < min(len(endings), len(letters.LETTERS))
    lettered = zip(letters.LETTERS, endings)  # noqa: B905
    return Asked(
        PROMPT.format(
            context=field(row, "ctx", str, where).strip(),
            endings="\n".join(f"{letter}) {ending.strip()}" for letter, ending in lettered),
        ),
        letters.LETTERS[int(label)] if is_ending else label,
    )


# The labels of the hub's test split are not public.
TASK = DatasetTask(
    "hellaswag",
    {
        "train": (Part("Rowan/hellaswag", None, "train", "hellaswag/train"),),
        "test": (Part("Rowan/hellaswag", None, "validation", "hellaswag/validation"),),
    },
    read,
    letters,
)
