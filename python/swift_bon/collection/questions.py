"""Which questions a run asks: those of the task that the file has no line of yet."""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.candidates.files import header_path, iterate_candidates, read_header
from swift_bon.models.identity import HEADER_FINGERPRINT, check_written_by, identify
from swift_bon.models.stored_prompts import StoredPrompts
from swift_bon.storage import check_same_settings, drop_torn_line
from swift_bon.tasks import Loaded, Task, load_questions, warn_of_unparsable
from swift_kernels.checks import check_count


def take_questions(task: Task, split: str, limit: int | None) -> Loaded:
    check_limit(limit)
    loaded = load_questions(task, split)
    warn_of_unparsable(task.name, loaded.unparsable)
    return loaded._replace(questions=loaded.questions[:limit])


def check_storable(sampling: dict[str, Any]) -> None:
    """What is sampled with stands in the header."""
    for name, value in sampling.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{name} is {type(value).__name__}, which the header of the candidates cannot keep "
                f"({error}); leave it out, or give what JSON holds"
            ) from error


def answered(
    path: Path, settings: dict, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> set[str]:
    """The ids of what an earlier run of the same settings left, whole lines only.

    Raises:
        ValueError: its settings were others, or it rendered its prompts otherwise.
    """
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
    ids, is_checked = set(), False
    for prompt in iterate_candidates(path):
        ids.add(prompt.id)
        if not is_checked and prompt.prompt_token_ids is not None:
            StoredPrompts(tokenizer, settings).check_rendered_alike(prompt, path)
            is_checked = True
    return ids


def check_limit(limit: int | None) -> None:
    if limit is not None:
        check_count(limit, "limit")
