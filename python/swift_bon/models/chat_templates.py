"""What a chat template makes of a chat, told by what it renders and never by how it is written."""

import functools
import sys
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError
from torch import Tensor
from transformers import PreTrainedTokenizerBase, ProcessorMixin

from swift_bon.models.chats import (
    Chat,
    is_started,
    media_keys,
    parts_of,
    text_part,
    with_content,
    without_key,
)
from swift_bon.models.template_arguments import check_template_arguments
from swift_bon.storage import short_digest

# what Python raises for an expression of a template that does not fit the chat
TEMPLATE_ERRORS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)
PROBES = ("hello", "world")


class ChatTemplate:
    """The template of a tokenizer, with arguments of the caller's.

    Args:
        tokenizer: also one without a template of its own that renders in another way, as Mistral's.
        arguments: what else the template reads: `enable_thinking`, `tools`, `documents`...;
            `chat_template` names one of several templates.

    Raises:
        ValueError: there is no template, or none of that name.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, arguments: Mapping[str, Any] | None = None
    ):
        self._tokenizer = tokenizer
        self._arguments = check_template_arguments(arguments)
        template = getattr(tokenizer, "chat_template", None)
        if isinstance(template, list | tuple):  # as tokenizer_config.json has them
            template = {named["name"]: named["template"] for named in template}
        if isinstance(template, Mapping):
            self._arguments["chat_template"] = _choose(template, self._arguments)
        self._text = self._arguments.get("chat_template") or template or ""
        if not self._text and not has_template(tokenizer):
            raise ValueError(
                "the tokenizer has no chat template, so prompts cannot be rendered; set "
                "tokenizer.chat_template to the model's template, or for plain text to "
                "'{% for message in messages %}{{ message.content }}{% endfor %}'"
            )

    def render(self, chat: Chat, where: str, *, gets_media: bool = False) -> list[int]:
        """Token ids of a chat, ready for the assistant: for its turn, or for going on with it.

        Args:
            chat: where the last message is the assistant's, it is continued.
            where: what errors call the chat.
            gets_media: the model is given what is no text.

        Raises:
            ValueError: the template refuses the chat, or leaves a part of it out.
        """
        return self._render(chat, where, gets_media)[0]

    def render_all(self, chat: Chat, where: str) -> tuple[list[int], dict[str, Any]]:
        """As `render`, and all that a processor makes of a chat, as tensors by argument."""
        ids, encoded = self._render(chat, where, True, return_dict=True, return_tensors="pt")
        return ids, dict(encoded)

    def _render(
        self, chat: Chat, where: str, gets_media: bool, **how: Any
    ) -> tuple[list[int], Any]:
        chat = self._with_strings_read(chat)
        self._check_media(chat, where, gets_media)
        try:
            encoded = self._encode(self._with_parts_read(chat), **how)
            ids = self._ids_of(encoded)
        except _template_errors() as error:
            what = f"{where} cannot be rendered by the chat template"
            if is_started(chat):
                what = f"{where} ends with a message of the assistant, which cannot be continued"
            raise ValueError(f"{what}: {error}") from error
        if not ids:
            raise ValueError(f"{where} is empty once it is rendered; check tokenizer.chat_template")
        return ids, encoded

    def reads_clock(self, chat: Chat) -> bool:
        """Whether what is rendered depends on the time: without a clock it is not the same."""
        if "strftime_now" not in self._text:
            return False
        chat = self._with_parts_read(self._with_strings_read(chat))
        return self._try(chat) != self._try(chat, strftime_now=None)

    def _encode(self, chat: Chat, **replaced: Any) -> Any:
        turn = "continue_final_message" if is_started(chat) else "add_generation_prompt"
        arguments = {**self._arguments, turn: True, **replaced}
        return self._tokenizer.apply_chat_template(chat, tokenize=True, **arguments)

    def _ids_of(self, encoded: Any) -> list[int]:
        if isinstance(encoded, Mapping):
            encoded = encoded["input_ids"]
        elif isinstance(encoded, str):
            encoded = self._tokenizer(encoded, add_special_tokens=False)["input_ids"]
        ids = encoded.tolist() if isinstance(encoded, Tensor) else list(encoded)
        return list(ids[0]) if ids and isinstance(ids[0], list) else ids  # a batch of one

    def _try(self, chat: Chat, **replaced: Any) -> list[int] | None:
        """None where the template refuses."""
        try:
            return self._ids_of(self._encode(chat, **replaced))
        except _template_errors():
            return None

    @functools.cached_property
    def _reads_strings(self) -> bool:
        """Or it reads parts alone, as templates for pictures may, and leaves strings out."""
        as_strings, as_parts = (
            [self._try([{"role": "user", "content": content}]) for content in contents]
            for contents in (PROBES, [[text_part(text)] for text in PROBES])
        )
        return as_strings[0] != as_strings[1] or as_parts[0] == as_parts[1]

    def _with_strings_read(self, chat: Chat) -> Chat:
        """With lists in place of strings, where the template reads lists alone."""
        for index, message in enumerate(chat):
            if isinstance(message.get("content"), str) and not self._reads_strings:
                chat = with_content(chat, index, [text_part(message["content"])])
        return chat

    def _with_parts_read(self, chat: Chat) -> Chat:
        """With strings in place of lists of texts, where the template writes no parts."""
        for index, message in enumerate(chat):
            parts = parts_of(message)
            is_list = isinstance(message.get("content"), list)
            is_read = self._reads_parts(chat, index) if parts else not self._reads_strings
            if is_list and not is_read and all(part["type"] == "text" for part in parts):
                chat = with_content(chat, index, "".join(part["text"] for part in parts))
        return chat

    def _reads_parts(self, chat: Chat, index: int) -> bool:
        """Whether the template writes the texts of a message's parts.

        Not so where they change nothing, nor where what no template knows changes something: there
        a list is written as Python prints it.
        """
        content = chat[index]["content"]
        changed = [
            {**part, "text": f"{part['text']}{PROBES[0]}"} if part["type"] == "text" else part
            for part in content
        ]
        marked = [{**part, PROBES[0]: PROBES[1]} for part in content]
        rendered, of_changed, of_marked = (
            self._try(with_content(chat, index, parts)) for parts in (content, changed, marked)
        )
        has_text = changed != content
        return (
            rendered is not None
            and rendered == of_marked
            and (not has_text or rendered != of_changed)
        )

    def _check_media(self, chat: Chat, where: str, gets_media: bool) -> None:
        for index, message in enumerate(chat):
            self._check_beside(chat, index, where, gets_media)
            parts = parts_of(message)
            for number, part in enumerate(parts):
                if part["type"] == "text":
                    continue
                what = f"{where}, message {index}, part {number} is of type {part['type']!r}"
                if not gets_media:
                    raise ValueError(
                        f"{what}, which the model would not get; pass the model's processor in "
                        "place of its tokenizer, or its tensors as pixel_values, or leave it out"
                    )
                rest = with_content(chat, index, [*parts[:number], *parts[number + 1 :]])
                rendered = self._try(chat)
                is_left_out = not self._reads_parts(chat, index) or rendered == self._try(rest)
                if rendered is not None and is_left_out:
                    raise ValueError(
                        f"{what}, which the chat template leaves out of the text; pass the model's "
                        "processor in place of its tokenizer, or leave it out"
                    )

    def _check_beside(self, chat: Chat, index: int, where: str, gets_media: bool) -> None:
        for key in media_keys(chat[index]):
            rendered = self._try(chat)
            is_left_out = rendered == self._try(without_key(chat, index, key))
            if gets_media and (rendered is None or not is_left_out):
                continue
            reason = "the chat template leaves out" if gets_media else "the model would not get"
            raise ValueError(
                f"{where}, message {index} has {key!r} beside its content, which {reason}; put "
                "each into the content, as {'type': 'image', 'image': ...}, and pass the model's "
                "processor in place of its tokenizer, or leave it out"
            )


def text_tokenizer(tokenizer: Any) -> PreTrainedTokenizerBase:
    """The tokenizer, also of a processor that has one."""
    is_processor = isinstance(tokenizer, ProcessorMixin)
    return getattr(tokenizer, "tokenizer", tokenizer) if is_processor else tokenizer


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Or it needs none: it renders otherwise than the tokenizers of transformers do."""
    method = getattr(tokenizer, "apply_chat_template", None)
    own = PreTrainedTokenizerBase.apply_chat_template
    is_of_its_own = method is not None and getattr(method, "__func__", None) is not own
    return bool(getattr(tokenizer, "chat_template", None)) or is_of_its_own


def template_digest(tokenizer: PreTrainedTokenizerBase, *parts: str) -> str:
    """Tells the templates of two tokenizers apart."""
    return short_digest(*parts, str(getattr(tokenizer, "chat_template", None)))


def _choose(templates: Mapping[str, str], arguments: Mapping[str, Any]) -> str:
    """One of several templates, as transformers chooses: by name, else for tools, else default."""
    given = arguments.get("chat_template")
    if given is not None:
        return templates.get(given, given)  # or a template itself
    for name in ("tool_use", "default"):
        if name in templates and (name == "default" or arguments.get("tools") is not None):
            return templates[name]
    raise ValueError(
        f"the tokenizer has the chat templates {', '.join(sorted(templates))} and no default; name "
        "one: chat_template_kwargs={'chat_template': ...}"
    )


def _template_errors() -> tuple[type[Exception], ...]:
    """With what Mistral's tokenizers raise, if they are loaded: they have a kind of their own."""
    module = sys.modules.get("mistral_common.exceptions")
    return TEMPLATE_ERRORS if module is None else (*TEMPLATE_ERRORS, module.MistralCommonException)
