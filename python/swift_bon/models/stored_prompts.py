"""The prompts of a candidates file as the model read them, whatever the day and the template."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.models.chat_templates import ChatTemplate
from swift_bon.models.chats import Chat
from swift_bon.models.template_arguments import check_template_arguments


class StoredPrompts:
    """Token ids of stored prompts: those that were kept with them, else rendered anew.

    Args:
        tokenizer: of the model that wrote the candidates.
        header: of the file; its `chat_template_kwargs` are those that it was written with.

    A warning comes once, where ids were not kept and the template writes the time, or where the
    kept ones are used and the template would write others for another reason than the time.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, header: Mapping[str, Any] | None = None):
        self._tokenizer = tokenizer
        self._arguments = check_template_arguments((header or {}).get("chat_template_kwargs"))
        self._known_template: ChatTemplate | None = None
        self._has_warned = False

    @property
    def _template(self) -> ChatTemplate:
        if self._known_template is None:
            self._known_template = ChatTemplate(self._tokenizer, self._arguments)
        return self._known_template

    def token_ids(self, prompts: Sequence[PromptCandidates]) -> list[list[int]]:
        """Of each prompt.

        Raises:
            ValueError: the tokenizer is not the one that wrote the candidates; or ids were not
                kept, and there is no template or it cannot render the prompt.
        """
        return [
            self._render(prompt)
            if prompt.prompt_token_ids is None
            else self._check(prompt, prompt.prompt_token_ids)
            for prompt in prompts
        ]

    def check_rendered_alike(self, prompt: PromptCandidates, path: Path) -> None:
        """A file gets no prompts of two kinds: one that was kept is rendered as it was.

        Raises:
            ValueError: it is not, and not for the time that its template writes.
        """
        chat = _chat(prompt)
        rendered = self._template.render(chat, f"prompt {prompt.id!r}")
        is_other_day = self._template.reads_clock(chat) and self._writes(prompt.candidates)
        if rendered != prompt.prompt_token_ids and not is_other_day:
            raise ValueError(
                f"{path} was begun with another chat template or tokenizer: its prompt "
                f"{prompt.id!r} is now rendered otherwise, and not for the time alone; go on with "
                "the tokenizer and the template it was begun with, or use another file"
            )

    def _render(self, prompt: PromptCandidates) -> list[int]:
        chat = _chat(prompt)
        ids = self._template.render(chat, f"prompt {prompt.id!r}")
        if not self._has_warned and self._template.reads_clock(chat):
            self._warn(
                "the chat template writes the date or the time, and what it wrote when the "
                f"candidates were written was not kept: prompt {prompt.id!r} is taken as it is "
                "rendered now, not as the model read it; collect again, or write that day into "
                "the template"
            )
        return ids

    def _check(self, prompt: PromptCandidates, kept: list[int]) -> list[int]:
        chat = _chat(prompt)
        try:
            rendered = self._template.render(chat, prompt.id)
        except ValueError:  # no template, or another one: the ids are there
            rendered = None
        if rendered == kept:
            return kept
        if not self._writes(prompt.candidates):
            raise ValueError(
                f"the tokenizer does not write the candidates of prompt {prompt.id!r} as they are "
                "stored, nor the prompt as the model read it: it is another one; load the model "
                "and the tokenizer that wrote the candidates"
            )
        is_known = rendered is None or self._has_warned or self._template.reads_clock(chat)
        if not is_known:
            self._warn(
                f"the chat template renders prompt {prompt.id!r} otherwise than when its candidates"
                " were written: the template or its arguments changed; the prompts are read as the "
                "model read them then"
            )
        return kept

    def _writes(self, candidates: Sequence[StoredCandidate]) -> bool:
        """Whether some candidate's tokens are its text, but for the spaces of a text encoded."""
        told = [candidate for candidate in candidates if candidate.text.strip()]
        return not told or any(map(self._writes_one, told))

    def _writes_one(self, candidate: StoredCandidate) -> bool:
        try:
            text = self._tokenizer.decode(candidate.token_ids, skip_special_tokens=True)
        except (LookupError, OverflowError, TypeError):  # it has no such id
            return False
        return "".join(str(text).split()) == "".join(candidate.text.split())

    def _warn(self, message: str) -> None:
        self._has_warned = True
        warnings.warn(message, stacklevel=2)


def _chat(prompt: PromptCandidates) -> Chat:
    return [{"role": "user", "content": prompt.prompt}]
