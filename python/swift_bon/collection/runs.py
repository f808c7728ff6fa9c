"""Collect candidates: sample N per question, grade them, keep the token ids."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.candidates.files import (
    append_candidates,
    iterate_candidates,
    write_header,
)
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.candidates.score_names import FREE_SCORES, SWIFT_SCORE
from swift_bon.collection.questions import answered, check_storable, take_questions
from swift_bon.generation.best_of import Candidate, sample_candidates
from swift_bon.generation.confidence import default_window
from swift_bon.graders.registry import Grader, load_grader
from swift_bon.models.identity import HEADER_FINGERPRINT, check_head_fits, model_name
from swift_bon.models.model_checks import check_model_and_tokenizer
from swift_bon.models.prompts import check_prompts, render_prompts
from swift_bon.models.sampled_weights import fingerprint
from swift_bon.models.template_arguments import storable_arguments
from swift_bon.storage import file_sha256, only_run
from swift_bon.tasks import Grade, Question, Task
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
    chat_template_kwargs: Mapping[str, Any] | None = None,
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
        chat_template_kwargs: what else the chat template reads, as in `best_of_n`; all that reads
            the file renders with them too.
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
    check_model_and_tokenizer(model, tokenizer)
    path, graded_by = Path(path), load_task(task, data, grader)
    questions, unparsable = take_questions(graded_by, split, limit)
    check_count(num_return_sequences, "num_return_sequences")
    check_count(batch_size, "batch_size")
    if head is not None:
        check_head_fits(head, model)
    check_storable(sampling)
    sampling = {**SAMPLING_DEFAULTS, **getattr(graded_by, "sampling", {}), **sampling}
    check_count(sampling["max_new_tokens"], "max_new_tokens")
    if confidence_window is None:
        confidence_window = default_window(sampling["max_new_tokens"])
    check_count(confidence_window, "confidence_window")
    arguments = storable_arguments(chat_template_kwargs)
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
        "chat_template_kwargs": arguments,
    }
    header = {**settings, HEADER_FINGERPRINT: fingerprint(model), **_left_out(unparsable)}

    asking = {
        "seed": seed,
        "batch_size": batch_size,
        "confidence_window": confidence_window,
        "with_token_scores": settings["token_scores"],
        **sampling,
    }
    writer = (model, tokenizer, head)
    path.parent.mkdir(parents=True, exist_ok=True)
    step = max(1, batch_size // num_return_sequences)
    bar = {"total": len(questions), "desc": "collecting", "unit": "question"}
    with only_run(path), tqdm(**bar, disable=not show_progress) as progress:
        done = answered(path, settings, model, tokenizer)
        missing = [question for question in questions if question.id not in done]
        progress.initial = progress.n = len(questions) - len(missing)
        progress.refresh()
        for start in range(0, len(missing), step):
            asked = missing[start : start + step]
            graded = _sample_and_grade(
                writer, graded_by, asked, num_return_sequences, arguments, **asking
            )
            if not path.exists():  # not before: what fails at once leaves no file behind
                write_header(path, header)
            append_candidates(path, graded)
            progress.update(len(graded))
    wanted = {question.id for question in questions}
    return [prompt for prompt in iterate_candidates(path) if prompt.id in wanted]


def _sample_and_grade(
    writer: tuple[Any, Any, RewardHead | None],
    task: Task,
    asked: Sequence[Question],
    num_return_sequences: int,
    chat_template_kwargs: Mapping[str, Any] | None,
    **settings,
) -> list[PromptCandidates]:
    """The lines of some questions, each with what the model read of it.

    `writer`: the model, its tokenizer and the head.
    """
    chats = check_prompts([question.prompt for question in asked])
    names = [f"the question {question.id!r}" for question in asked]
    rendered = render_prompts(writer[1], chats, chat_template_kwargs, names=names)
    rows = sample_questions(*writer, asked, num_return_sequences, rendered=rendered, **settings)
    return [grade_candidates(task, *line) for line in zip(asked, rows, rendered, strict=True)]


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
    task: Task,
    question: Question,
    candidates: Sequence[Candidate],
    prompt_token_ids: list[int] | None = None,
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
    return PromptCandidates(
        question.id, question.prompt, question.reference, stored, prompt_token_ids
    )


def kept_scores(candidate: Candidate) -> dict[str, float]:
    """By method, what is stored of a candidate: a score that is not finite is none."""
    scores = {**candidate.free_scores, SWIFT_SCORE: candidate.score}
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def _left_out(unparsable: Sequence[Unparsable]) -> dict[str, Any]:
    return {"unparsable": [one._asdict() for one in unparsable]} if unparsable else {}
