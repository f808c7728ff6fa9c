"""One prompt's candidates as a page: what the head looks at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.candidates.files import iterate_candidates
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.collection.runs import kept_scores
from swift_bon.evaluation.candidate_table import tabulate
from swift_bon.evaluation.page import render_page
from swift_bon.evaluation.picking import pick_with_all_methods
from swift_bon.generation.best_of import DEFAULT_MAX_NEW_TOKENS, sample_candidates
from swift_bon.generation.confidence import default_window
from swift_bon.models.chats import Chat
from swift_bon.models.identity import check_head_fits
from swift_bon.models.prompts import check_prompts
from swift_kernels import RewardHead
from swift_kernels.checks import check_count

TITLE_CHARACTERS = 120


def inspect_prompt(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str | Chat,
    head: RewardHead,
    num_return_sequences: int = 8,
    *,
    seed: int = 0,
    show_progress: bool = True,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    **generate_kwargs: Any,
) -> str:
    """Sample candidates for a prompt and show each with its tokens' rewards and gates.

    Args:
        prompt: a string (one user message) or chat messages.
        num_return_sequences: N, candidates.
        seed: of the random streams.
        show_progress: a bar on a terminal, where there is more than one batch.
        chat_template_kwargs: what else the chat template reads.

    The other arguments are those of `best_of_n`. Nothing is graded, so no candidate is called right
    or wrong.

    Returns:
        a self-contained HTML page.

    >>> import pathlib
    >>> from swift_bon import inspect_prompt, load_head, load_model
    >>> model, tokenizer = load_model()
    >>> page = inspect_prompt(model, tokenizer, "2 + 3?", load_head(), 2, max_new_tokens=4)
    >>> num_characters = pathlib.Path("inspect.html").write_text(page, encoding="utf-8")
    """
    (chat,) = check_prompts(prompt)
    check_count(num_return_sequences, "num_return_sequences")
    check_head_fits(head, model)
    longest = generate_kwargs.get("max_new_tokens") or DEFAULT_MAX_NEW_TOKENS
    (candidates,) = sample_candidates(
        model,
        tokenizer,
        [chat],
        head,
        num_return_sequences,
        stream_keys=[(seed, 0)],
        confidence_window=default_window(longest),
        with_token_scores=True,
        show_progress=show_progress,
        chat_template_kwargs=chat_template_kwargs,
        **generate_kwargs,
    )
    stored = [
        StoredCandidate(
            c.text, c.token_ids, False, None, kept_scores(c), token_scores=c.token_scores
        )
        for c in candidates
    ]
    text = "\n\n".join(str(message["content"]) for message in chat)
    return _page(PromptCandidates("prompt", text, "", stored), is_graded=False)


def inspect_stored(path: str | Path, prompt_id: str) -> str:
    """The page of one prompt of a candidates file, with all its candidates.

    Raises:
        FileNotFoundError, ValueError: no such file, or no such prompt in it.
    """
    for prompt in iterate_candidates(path):
        if prompt.id == prompt_id:
            return _page(prompt, is_graded=True)
    raise ValueError(f"id is {prompt_id!r}, expected one of the ids in {path}: each line has one")


def _page(prompt: PromptCandidates, *, is_graded: bool) -> str:
    methods = pick_with_all_methods(tabulate([prompt]), [prompt.id], [])
    shown = {
        name: method.picks.indices
        for name, method in methods.items()
        if is_graded or name != "oracle"
    }
    return render_page(
        None,
        [prompt],
        shown,
        title=_title(prompt.prompt),
        max_candidates=len(prompt.candidates),
        is_graded=is_graded,
    )


def _title(text: str) -> str:
    """The prompt on one line; of a long one the beginning, as the whole stands below."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1] + "…"
