"""Import the rollouts of the paper's own scripts as a candidates file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from swift_bon.candidates.files import header_path, replace_candidates, write_header
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.collection.rollout_rows import Rollout, read_rollouts
from swift_bon.graders.registry import Grader, load_grader
from swift_bon.models.chat_templates import has_template
from swift_bon.models.stored_prompts import StoredPrompts
from swift_bon.models.template_arguments import storable_arguments
from swift_bon.storage import file_sha256
from swift_bon.tasks import Grade, Question
from swift_bon.tasks.registry import TASKS
from swift_bon.tasks.rows import check_is_there


class ImportReport(NamedTuple):
    """What was imported. A label of the file stands, whatever our grader says of it."""

    num_prompts: int
    num_candidates: int
    num_correct: int
    num_answers: int  # candidates whose answer our grader read
    num_disagreeing: int  # candidates that our grader judges otherwise than the file
    num_ungraded: int  # prompts without a grader, or with a reference it cannot grade


def import_rollouts(
    source: str | Path,
    path: str | Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    model: str,
    task: str,
    split: str = "train",
    instruction: str = "",
    grader: str | Callable[[Question, str], Grade | bool] | Grader | None = None,
    end_token_id: int | None = None,
    max_new_tokens: int | None = None,
    show_progress: bool = True,
    chat_template_kwargs: Mapping[str, Any] | None = None,
) -> ImportReport:
    """Write a candidates file, with its header, from the rollouts of the paper's scripts.

    Args:
        source: their JSON; JSON lines with the same fields do as well. `steps` are not read.
        path: the candidates file to write, which must not exist.
        tokenizer: of the model that wrote the completions, which are encoded with it.
        model, task, split: for the header; `task` may be any name.
        instruction: what stood before each prompt when the model was asked. Hidden states depend
            on it, so give it exactly.
        grader: fills in `answer`; None takes that of the task, where `TASKS` has it.
        end_token_id: ends a turn, and each candidate; None takes the tokenizer's `eos_token_id`.
        max_new_tokens: the limit the completions were sampled with. One with as many tokens was cut
            off and gets no end token; None gives one to all.
        show_progress: a bar over the prompts.
        chat_template_kwargs: what else the chat template read when the model was asked.

    Returns:
        the counts, among them how often our grader disagrees with the file's `correctness`.

    Raises:
        FileNotFoundError: there is no such source.
        ValueError: `path` exists, or a record is not what it should be; names record and field.
            Nothing is written then.

    >>> import json
    >>> from pathlib import Path
    >>> from swift_bon import import_rollouts
    >>> from swift_bon.models import load_tokenizer
    >>> rollout = {"prompt": "What is 6 x 7?", "reference": "42"}
    >>> rollout |= {"completions": ["It is 42.", "It is 41."], "correctness": [1, 0]}
    >>> _ = Path("rollouts.json").write_text(json.dumps([rollout]))
    >>> settings = {"model": "smollm2-135m", "task": "own"}
    >>> report = import_rollouts("rollouts.json", "train.jsonl", load_tokenizer(), **settings)
    >>> report.num_candidates, report.num_correct
    (2, 1)
    """
    source, path = Path(source), Path(path)
    _check_new(path)
    if end_token_id is None:
        end_token_id = tokenizer.eos_token_id
    if end_token_id is None:
        raise ValueError("end_token_id is None and the tokenizer has no eos_token_id; give the id")
    if max_new_tokens is not None and max_new_tokens < 1:
        raise ValueError(f"max_new_tokens is {max_new_tokens}, expected None or at least 1")
    check_is_there(source)
    own_grader = None if grader is None else load_grader(grader)
    graded_by = getattr(TASKS.get(task), "grader", None) if own_grader is None else own_grader
    settings: dict[str, Any] = {
        "model": model,
        "task": task,
        "split": split,
        "grader": None if own_grader is None else own_grader.name,
        "scores": [],
        "chat_template_kwargs": storable_arguments(chat_template_kwargs),
        "imported": {
            "source": source.name,
            "sha256": file_sha256(source),
            "instruction": instruction,
            "end_token_id": end_token_id,
            "max_new_tokens": max_new_tokens,
        },
    }
    stored = StoredPrompts(tokenizer, settings) if has_template(tokenizer) else None
    report = ImportReport(0, 0, 0, 0, 0, 0)

    def convert() -> Iterator[PromptCandidates]:
        nonlocal report
        rollouts = tqdm(
            read_rollouts(source), desc="importing", unit="prompt", disable=not show_progress
        )
        for number, rollout in enumerate(rollouts):
            question = Question(
                f"{task}/{split}/{number}", task, instruction + rollout.prompt, rollout.reference
            )
            token_ids = _encode(tokenizer, rollout.completions, end_token_id, max_new_tokens)
            grades = _grade(graded_by, question, rollout.completions)
            report = _count(report, rollout, grades)
            prompt = _to_candidates(question, rollout, token_ids, grades)
            ids = None if stored is None else stored.token_ids([prompt])[0]
            yield replace(prompt, prompt_token_ids=ids)
        if not report.num_prompts:
            raise ValueError(
                f"{source} has no records; expected a list of prompts with completions"
            )
        # here, so that a bad record leaves no header, and no file is ever without one
        write_header(path, settings)

    replace_candidates(path, convert())
    return report


def check_paths(source: Path, path: Path) -> None:
    """The file to import is there, and the one to write is not. Raises as `import_rollouts`."""
    check_is_there(source)
    _check_new(path)


def _check_new(path: Path) -> None:
    if path.exists():
        raise ValueError(
            f"path is {str(path)!r}, which exists; use another, or delete it and "
            f"{header_path(path).name}"
        )


def _encode(
    tokenizer: PreTrainedTokenizerBase,
    completions: Sequence[str],
    end_token_id: int,
    max_new_tokens: int | None,
) -> list[list[int]]:
    rows = tokenizer(list(completions), add_special_tokens=False)["input_ids"]
    is_cut = [max_new_tokens is not None and len(row) >= max_new_tokens for row in rows]
    return [row if cut else [*row, end_token_id] for row, cut in zip(rows, is_cut, strict=True)]


def _grade(
    grader: Grader | None, question: Question, completions: Sequence[str]
) -> list[Grade] | None:
    if grader is None or grader.reference_fault(question.reference) is not None:
        return None
    return [grader.grade(question, completion) for completion in completions]


def _count(report: ImportReport, rollout: Rollout, grades: list[Grade] | None) -> ImportReport:
    disagreeing = [
        grade.correct != correct
        for grade, correct in zip(grades or [], rollout.correctness, strict=False)
    ]
    return ImportReport(
        report.num_prompts + 1,
        report.num_candidates + len(rollout.completions),
        report.num_correct + sum(rollout.correctness),
        report.num_answers + sum(grade.answer is not None for grade in grades or []),
        report.num_disagreeing + sum(disagreeing),
        report.num_ungraded + (grades is None),
    )


def _to_candidates(
    question: Question,
    rollout: Rollout,
    token_ids: list[list[int]],
    grades: list[Grade] | None,
) -> PromptCandidates:
    answers = [None] * len(token_ids) if grades is None else [grade.answer for grade in grades]
    columns = zip(rollout.completions, token_ids, rollout.correctness, answers, strict=True)
    candidates = [StoredCandidate(*column) for column in columns]
    return PromptCandidates(question.id, question.prompt, question.reference, candidates)
