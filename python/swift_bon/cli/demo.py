"""The demonstration: a real model, questions it was not trained on, and the pick of its head."""

import contextlib
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.candidates.score_names import label
from swift_bon.collection.runs import SAMPLING_DEFAULTS, grade_candidates, sample_questions
from swift_bon.evaluation.comparison import evaluate_candidates
from swift_bon.evaluation.record_types import accuracy_of
from swift_bon.generation.best_of import pick_best
from swift_bon.generation.results import Candidate
from swift_bon.models.identity import check_head_fits, model_name
from swift_bon.tasks import Question
from swift_bon.tasks.registry import load_task
from swift_kernels import RewardHead
from swift_kernels.checks import check_count

QUESTIONS_PER_BATCH = 8
METHODS = ("random", "mean_logprob", "swift", "oracle")


def demo(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    head: RewardHead,
    *,
    questions: int = 24,
    samples: int = 8,
    seed: int = 0,
    show_progress: bool = True,
    console: Console | None = None,
) -> dict[str, Any]:
    """Answer questions of the test split of `basics` by best-of-N, showing each pick.

    Every batch is sampled twice from the same random streams, with scoring and without, taking
    turns at going first, so that both speeds come from one run and the same tokens.

    Args:
        questions: how many; samples: candidates of each; seed: of the random streams.
        show_progress: draw each row as soon as it is there; False draws the table at the end.
        console: where to draw the table; None draws on standard output.

    Returns:
        accuracies `random`, `mean_logprob`, `swift`, `oracle`, tokens per second with and without
        scoring, and the settings.
    """
    console = console or Console()
    task = load_task("basics")
    asked = task.questions("test")
    check_count_of_questions(questions, len(asked))
    check_count(samples, "samples")
    check_head_fits(head, model)
    asked = asked[:questions]

    def sample(
        used_head: RewardHead | None, batch: list[Question], count: int
    ) -> list[list[Candidate]]:
        return sample_questions(
            model,
            tokenizer,
            used_head,
            batch,
            count,
            seed=seed,
            batch_size=None,
            **SAMPLING_DEFAULTS,
        )

    sample(head, asked[:1], 1)  # what happens once is not timed
    results: list[PromptCandidates] = []
    seconds = {True: 0.0, False: 0.0}  # with scoring, without
    table = _new_table(samples)
    live = Live(table, console=console, refresh_per_second=4)
    with live if show_progress else contextlib.nullcontext():
        for start in range(0, len(asked), QUESTIONS_PER_BATCH):
            batch = asked[start : start + QUESTIONS_PER_BATCH]
            is_even = (start // QUESTIONS_PER_BATCH) % 2 == 0
            for scoring in (is_even, not is_even):
                started = time.perf_counter()
                rows = sample(head if scoring else None, batch, samples)
                seconds[scoring] += time.perf_counter() - started
                if not scoring:
                    continue
                for question, candidates in zip(batch, rows, strict=True):
                    graded = grade_candidates(task, question, candidates)
                    results.append(graded)
                    index = pick_best(candidates).index
                    _add_row(table, question, graded.candidates[0], graded.candidates[index])
    if not show_progress:
        console.print(table)
    elif not console.is_terminal:
        console.print()  # a live table ends its last line only on a terminal
    num_tokens = sum(len(c.token_ids) for prompt in results for c in prompt.candidates)
    record = evaluate_candidates(results, show_progress=False)
    summary = {
        "model": model_name(model),
        "questions": questions,
        "samples": samples,
        "seed": seed,
        **{name: accuracy_of(record, name) for name in METHODS},
        "tokens": num_tokens,
        "tokens_per_second": num_tokens / seconds[True],
        "tokens_per_second_without_scoring": num_tokens / seconds[False],
    }
    _print_summary(summary, console)
    return summary


def _new_table(samples: int) -> Table:
    table = Table(title=f"best of {samples}, picked while they were written", expand=True)
    for heading, ratio in (("question", 5), ("first sample", 4), ("SWIFT's pick", 4)):
        table.add_column(heading, ratio=ratio, no_wrap=True, overflow="ellipsis")
    return table


def _add_row(
    table: Table, question: Question, first: StoredCandidate, pick: StoredCandidate
) -> None:
    table.add_row(Text(question.prompt), _marked(first), _marked(pick))


def _marked(candidate: StoredCandidate) -> Text:
    """The text on one line, with its verdict in words that need no colour."""
    verdict = ("right ", "bold green") if candidate.correct else ("wrong ", "red")
    return Text.assemble(verdict, " ".join(candidate.text.split()))


def _print_summary(summary: dict[str, Any], console: Console) -> None:
    table = Table(title=f"{summary['questions']} questions, {summary['samples']} samples each")
    table.add_column("answer taken")
    table.add_column("accuracy", justify="right")
    for name in METHODS:
        table.add_row(label(name), f"{summary[name]:.3f}")
    console.print(table)
    console.print(
        f"{summary['tokens_per_second']:.0f} tokens/s with scoring, "
        f"{summary['tokens_per_second_without_scoring']:.0f} without (same tokens, taking turns)"
    )


def check_count_of_questions(questions: int, available: int) -> None:
    check_count(questions, "questions")
    if questions > available:
        raise ValueError(f"questions is {questions}, the test split has {available}")
