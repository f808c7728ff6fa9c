"""Collect candidates: sample N per question, grade them, keep the token ids."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.candidates.files import (
    append_candidates,
    header_path,
    iterate_candidates,
    read_header,
    write_header,
)
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.candidates.score_names import FREE_SCORES, SWIFT_SCORE
from swift_bon.generation.best_of import Candidate, sample_candidates
from swift_bon.generation.confidence import default_window
from swift_bon.graders.registry import Grader, load_grader
from swift_bon.models.identity import (
    HEADER_FINGERPRINT,
    check_head_fits,
    check_written_by,
    identify,
    model_name,
)
from swift_bon.models.prompts import check_prompts
from swift_bon.models.sampled_weights import fingerprint
from swift_bon.storage import check_same_settings, drop_torn_line, file_sha256, only_run
from swift_bon.tasks import Grade, Loaded, Question, Task, load_questions, warn_of_unparsable
from swift_bon.tasks.registry import load_task
from swift_bon.tasks.task import Unparsable
from swift_kernels import RewardHead
from swift_kernels.checks import check_count

SAMPLING_DEFAULTS = {"max_new_tokens": 24, "temperature": 1.0, "top_p": 1.0, "top_k": 50}


def collect(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    path: str | Path,
    *,
    task: str = "basics",
    split: str = "train",
    data: str | Path | None = None,
    grader: str | Callable[[Question, str], Grade | bool] | Grader | None = None,
    limit: int | None = None,
    num_return_sequences: int = 8,
    head: RewardHead | None = None,
    batch_size: int = 64,
    seed: int = 0,
    confidence_window: int | None = None,
    token_scores: bool = True,
    show_progress: bool = True,
    **sampling: Any,
) -> list[PromptCandidates]:
    """Sample, grade and store candidates for the questions of a task.

    A killed run goes on where it stopped when called again with the same settings, and gives the
    same file as one that was never stopped: each candidate has a random stream of its own.

    Args:
        path: JSON lines, one question a line; the settings go to `<name>.header.json` beside it.
        task, split: which questions; `limit` takes only the first ones.
        data: a file with the questions of the task, in place of the hub; see `load_task`.
        grader: a name, or a function of a question and a text, in place of the task's own grader.
        num_return_sequences: N, candidates per question.
        head: stores a score "swift" with each candidate, from the same pass.
        batch_size: candidates generated at a time.
        seed: of all random streams.
        confidence_window: tokens of a group, for the scores of DeepConf (arXiv 2508.15260); None:
            an eighth of `max_new_tokens`, from 8 up to the paper's 2,048.
        token_scores: store the head's reward and gate of each token, which reports colour; about
            three times the size of the file.
        show_progress: a bar over the questions.
        **sampling: arguments of `generate`; the task's and `SAMPLING_DEFAULTS` where not given.

    Questions whose reference cannot be graded are left out with a warning; the header has them.

    Raises:
        ValueError: the file was made with other settings, or an argument is bad.

    >>> from swift_bon import collect, load_head, load_model
    >>> model, tokenizer = load_model()
    >>> options = {"limit": 2, "num_return_sequences": 3, "max_new_tokens": 4}
    >>> prompts = collect(model, tokenizer, "train.jsonl", head=load_head(), **options)
    >>> [len(prompt.candidates) for prompt in prompts]
    [3, 3]
    """
    path = Path(path)
    graded_by = load_task(task, data, grader)
    questions, unparsable = _take_questions(graded_by, split, limit)
    check_count(num_return_sequences, "num_return_sequences")
    check_count(batch_size, "batch_size")
    if head is not None:
        check_head_fits(head, model)
    sampling = {**SAMPLING_DEFAULTS, **getattr(graded_by, "sampling", {}), **sampling}
    check_count(sampling["max_new_tokens"], "max_new_tokens")
    if confidence_window is None:
        confidence_window = default_window(sampling["max_new_tokens"])
    check_count(confidence_window, "confidence_window")
    settings = {
        "model": model_name(model),
        "task": task,
        "split": split,
        "data": None if data is None else file_sha256(Path(data)),
        "grader": None if grader is None else load_grader(grader).name,
        "num_return_sequences": num_return_sequences,
        "seed": seed,
        "sampling": sampling,
        "head": None if head is None else head.digest(),
        "scores": [*FREE_SCORES] if head is None else [*FREE_SCORES, SWIFT_SCORE],
        "confidence_window": confidence_window,
        "token_scores": token_scores and head is not None,
    }
    header = {**settings, HEADER_FINGERPRINT: fingerprint(model), **_left_out(unparsable)}

    def sample(asked: Sequence[Question]) -> list[PromptCandidates]:
        rows = sample_questions(
            model,
            tokenizer,
            head,
            asked,
            num_return_sequences,
            seed=seed,
            batch_size=batch_size,
            confidence_window=confidence_window,
            with_token_scores=settings["token_scores"],
            **sampling,
        )
        pairs = zip(asked, rows, strict=True)
        return [grade_candidates(graded_by, question, row) for question, row in pairs]

    path.parent.mkdir(parents=True, exist_ok=True)
    step = max(1, batch_size // num_return_sequences)
    bar = {"total": len(questions), "desc": "collecting", "unit": "question"}
    with only_run(path), tqdm(**bar, disable=not show_progress) as progress:
        done = _resume(path, settings, model)
        missing = [question for question in questions if question.id not in done]
        progress.initial = progress.n = len(questions) - len(missing)
        progress.refresh()
        for start in range(0, len(missing), step):
            graded = sample(missing[start : start + step])
            if not path.exists():  # not before: what fails at once leaves no file behind
                write_header(path, header)
            append_candidates(path, graded)
            progress.update(len(graded))
    wanted = {question.id for question in questions}
    return [prompt for prompt in iterate_candidates(path) if prompt.id in wanted]


def sample_questions(
    model,
    tokenizer,
    head: RewardHead | None,
    questions: Sequence[Question],
    num_return_sequences: int,
    *,
    seed: int,
    batch_size: int | None = None,
    **settings,
) -> list[list[Candidate]]:
    """N candidates of each question, each from the random stream of its seed and id.

    `settings` are those of `sample_candidates` and of `generate`.
    """
    return sample_candidates(
        model,
        tokenizer,
        check_prompts([question.prompt for question in questions]),
        head,
        num_return_sequences,
        stream_keys=[(seed, question.id) for question in questions],
        batch_size=batch_size,
        do_sample=True,
        **settings,
    )


def grade_candidates(
    task: Task, question: Question, candidates: Sequence[Candidate]
) -> PromptCandidates:
    """The candidates of one question with their answers and scores, as they are stored."""
    stored = []
    for candidate in candidates:
        grade = task.grade(question, candidate.text)
        stored.append(
            StoredCandidate(
                text=candidate.text,
                token_ids=candidate.token_ids,
                correct=grade.correct,
                answer=grade.answer,
                scores=kept_scores(candidate),
                token_scores=candidate.token_scores,
            )
        )
    return PromptCandidates(question.id, question.prompt, question.reference, stored)


def kept_scores(candidate: Candidate) -> dict[str, float]:
    """By method, what is stored of a candidate: a score that is not finite is none."""
    scores = {**candidate.free_scores, SWIFT_SCORE: candidate.score}
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def _take_questions(task: Task, split: str, limit: int | None) -> Loaded:
    check_limit(limit)
    loaded = load_questions(task, split)
    warn_of_unparsable(task.name, loaded.unparsable)
    return loaded._replace(questions=loaded.questions[:limit])


def _resume(path: Path, settings: dict, model: PreTrainedModel) -> set[str]:
    """The ids of what an earlier run of the same settings left, whole lines only."""
    if not path.exists():
        return set()
    earlier = read_header(path)
    delete = (
        f"use another file, or delete it and {header_path(path).name} (an older version stored "
        "fewer scores)"
    )
    if HEADER_FINGERPRINT in earlier:  # then the name does not matter
        settings = {**settings, "model": earlier["model"]}
    check_same_settings(earlier, settings, path, delete)
    check_written_by(earlier, identify(model), path, model)
    drop_torn_line(path)
    return {prompt.id for prompt in iterate_candidates(path)}


def _left_out(unparsable: Sequence[Unparsable]) -> dict[str, Any]:
    return {"unparsable": [one._asdict() for one in unparsable]} if unparsable else {}


def check_limit(limit: int | None) -> None:
    if limit is not None:
        check_count(limit, "limit")
