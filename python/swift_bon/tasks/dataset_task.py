"""A task whose questions are rows of a data set: from the hub, or from a local file."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from swift_bon.graders.question import Grade, Question
from swift_bon.graders.registry import Grader
from swift_bon.tasks.rows import read_rows
from swift_bon.tasks.task import Loaded, Unparsable

SPLITS = ("train", "test", "all")
SHOWN_IDS = 10


class Asked(NamedTuple):
    """What a task reads from a row: the prompt, the reference, and an id where the row has one."""

    prompt: str
    reference: str
    id: str | None = None


class Part(NamedTuple):
    """Rows of a data set on the hub, `split` in the syntax of `datasets`: "train[:6000]"."""

    dataset: str
    config: str | None
    split: str
    id: str  # the ids of its questions are this and the number of the row: "gsm8k/test/17"
    first: int = 0  # the number of its first row


@dataclass(frozen=True)
class DatasetTask:
    """Questions from the hub through `datasets`, or from a file with the same fields.

    Args:
        name: of the task.
        parts: for "train" and "test" the rows on the hub; "all" is both.
        read: from a row, and words that say where it stands, to what is asked; ValueError for a
            row of another kind.
        grader: of all its answers.
        data: a file to take in place of the hub. All its rows are in whatever split is asked for,
            which only names them: "gsm8k/test/17".
        sampling: arguments of `generate` that the answers need.

    >>> from pathlib import Path
    >>> from swift_bon.graders import load_grader
    >>> from swift_bon.tasks import DatasetTask
    >>> from swift_bon.tasks.dataset_task import Asked
    >>> data = Path("sums.jsonl")
    >>> _ = data.write_text('{"sum": "6 + 7", "is": "13"}')
    >>> def read(row, where):
    ...     return Asked(f"What is {row['sum']}?", row["is"])
    >>> DatasetTask("sums", {}, read, load_grader("text"), data).questions("test")
    [Question(id='sums/test/0', kind='sums', prompt='What is 6 + 7?', reference='13')]
    """

    name: str
    parts: dict[str, tuple[Part, ...]]
    read: Callable[[dict[str, Any], str], Asked]
    grader: Grader
    data: Path | None = None
    sampling: dict[str, Any] = field(default_factory=lambda: {"max_new_tokens": 1024})

    def load(self, split: str) -> Loaded:
        """The questions of "train", "test" or "all", and those that cannot be graded.

        Raises:
            ValueError: no such split, a row is not of this task, an id comes twice, or not one
                reference can be graded.
            FileNotFoundError: there is no such file.
            ModuleNotFoundError: a package is missing that the task needs.
        """
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, expected one of: {', '.join(SPLITS)}")
        questions: dict[str, Question] = {}
        unparsable: dict[str, str] = {}
        for where, row, row_id in self._rows(split):
            asked = self.read(row, where)
            question_id = asked.id or row_id
            if question_id in questions or question_id in unparsable:
                raise ValueError(
                    f"{where}: id {question_id!r} comes twice; give rows ids that differ"
                )
            fault = self.grader.reference_fault(asked.reference)
            if fault is None:
                questions[question_id] = Question(
                    question_id, self.name, asked.prompt, asked.reference
                )
            else:
                unparsable[question_id] = fault
        left_out = [Unparsable(*pair) for pair in unparsable.items()]
        loaded = Loaded(list(questions.values()), left_out)
        self._check_usable(loaded, split)
        return loaded

    def questions(self, split: str) -> list[Question]:
        """The questions that can be graded; warns of the others. Raises as `load`."""
        loaded = self.load(split)
        warn_of_unparsable(self.name, loaded.unparsable)
        return loaded.questions

    def grade(self, question: Question, text: str) -> Grade:
        """What the task's grader says."""
        return self.grader.grade(question, text)

    def _rows(self, split: str) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Where each row stands, the row, and the id it has if it brings none."""
        if self.data is not None:
            for number, (where, row) in enumerate(read_rows(self.data)):
                yield where, row, f"{self.name}/{split}/{number}"
            return
        if not self.parts:
            raise ValueError(
                f"task {self.name!r} has no data set of its own; give a file of JSON lines as data"
            )
        load_dataset = _import_load_dataset(self.name)
        for part in (part for name in _of_split(split) for part in self.parts[name]):
            rows = load_dataset(part.dataset, part.config, split=part.split)
            for number, row in enumerate(rows, part.first):
                where = f"row {number} of {part.dataset} ({part.id})"
                yield where, row, f"{part.id}/{number}"

    def _check_usable(self, loaded: Loaded, split: str) -> None:
        source = self.data or "the hub"
        if loaded.questions:
            return
        if loaded.unparsable:
            first = loaded.unparsable[0]
            raise ValueError(
                f"not one of the {len(loaded.unparsable)} references of task {self.name!r}, split "
                f"{split!r}, from {source} can be graded; the first is of {first.id}: "
                f"{first.reason}; use another grader or another file"
            )
        raise ValueError(f"task {self.name!r} has no rows in {source}, split {split!r}")


def warn_of_unparsable(name: str, unparsable: list[Unparsable]) -> None:
    """Say which questions are left out and why; nothing where there are none.

    >>> import warnings
    >>> from swift_bon.tasks import Unparsable, warn_of_unparsable
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_of_unparsable("own", [Unparsable("own/test/3", "reference is empty")])
    >>> print(caught[0].message)
    task 'own': 1 questions are left out, ... be graded: own/test/3: reference is empty
    """
    if not unparsable:
        return
    shown = "; ".join(f"{one.id}: {one.reason}" for one in unparsable[:SHOWN_IDS])
    more = f"; and {len(unparsable) - SHOWN_IDS} more" if len(unparsable) > SHOWN_IDS else ""
    warnings.warn(
        f"task {name!r}: {len(unparsable)} questions are left out, because their references cannot "
        f"be graded: {shown}{more}",
        stacklevel=3,
    )


def _of_split(split: str) -> tuple[str, ...]:
    return ("train", "test") if split == "all" else (split,)


def _import_load_dataset(name: str) -> Callable:
    try:
        from datasets import load_dataset
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"task {name!r} reads its questions from the hub with the package datasets; in the "
            "folder of this project run: pip install '.[tasks]', or give a local file as data"
        ) from error
    return load_dataset
