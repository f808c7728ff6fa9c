"""From prompts to token ids."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.models.chat_templates import ChatTemplate
from swift_bon.models.chats import Chat
from swift_bon.models.identity import context_length, model_name
from swift_bon.models.vocabulary import num_token_ids

Prompts = str | Sequence[str] | Sequence[dict[str, Any]] | Sequence[Sequence[dict[str, Any]]]


def render_prompts(
    tokenizer: PreTrainedTokenizerBase,
    chats: Sequence[Chat],
    chat_template_kwargs: Mapping[str, Any] | None = None,
    *,
    names: Sequence[str] | None = None,
) -> list[list[int]]:
    """Token ids of each chat, through the chat template, ready for the assistant's turn.

    A chat that ends with a message of the assistant is continued.

    Args:
        chat_template_kwargs: what else the template reads; see `ChatTemplate`.
        names: what errors call the chats; None: `prompts[0]` and so on.

    Raises:
        ValueError: no template, or one that cannot render a chat as it is; names the chat.
    """
    template = ChatTemplate(tokenizer, chat_template_kwargs)
    names = names or [f"prompts[{index}]" for index in range(len(chats))]
    return [template.render(chat, name) for chat, name in zip(chats, names, strict=True)]


def check_prompts(prompts: Prompts) -> list[Chat]:
    """Any accepted form of prompts as a list of chats."""
    if isinstance(prompts, str) or (
        isinstance(prompts, Sequence) and prompts and isinstance(prompts[0], dict)
    ):
        return [_as_chat(prompts, 0)]
    if not isinstance(prompts, Sequence):
        raise TypeError(
            f"prompts is {type(prompts).__name__}, expected a string, chat messages, or a list"
        )
    return [_as_chat(prompt, index) for index, prompt in enumerate(prompts)]


def _as_chat(prompt: object, index: int) -> Chat:
    if isinstance(prompt, str):
        if not prompt.strip():
            raise ValueError(f"prompts[{index}] is empty, expected some text")
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, Sequence) or not all(
        isinstance(message, dict)
        and "role" in message
        and ("content" in message or "tool_calls" in message)
        for message in prompt
    ):
        raise TypeError(
            f"prompts[{index}] is {type(prompt).__name__}, expected a string or a list of messages "
            "{'role': ..., 'content': ...}"
        )
    chat = [
        _with_typed_parts(message, f"prompts[{index}], message {number}")
        for number, message in enumerate(prompt)
    ]
    if not chat or not any(str(message.get("content", "")).strip() for message in chat):
        raise ValueError(f"prompts[{index}] is empty, expected at least one message with text")
    return chat


def _with_typed_parts(message: dict[str, Any], where: str) -> dict[str, Any]:
    """A content in parts says of each what it is: "text" where there is a text."""
    content = message.get("content")
    if not isinstance(content, list | tuple):
        return message
    parts = []
    for number, part in enumerate(content):
        is_text = isinstance(part, dict) and isinstance(part.get("text"), str)
        if not is_text and (not isinstance(part, dict) or part.get("type", "text") == "text"):
            raise TypeError(
                f"{where}, part {number} is {part!r:.80}, expected {{'type': 'text', 'text': ...}}"
            )
        parts.append({"type": "text", **part} if is_text else part)
    return {**message, "content": parts}


def check_prompt_length(
    num_tokens: int, max_new_tokens: int | None, model: PreTrainedModel, index: int
) -> None:
    """A prompt and its response fit in the context of the model."""
    context = context_length(model)
    if num_tokens >= context:
        raise ValueError(
            f"prompts[{index}] has {num_tokens} tokens, the context of {model_name(model)!r} is "
            f"{context}; shorten it"
        )
    if max_new_tokens is not None and num_tokens + max_new_tokens > context:
        raise ValueError(
            f"prompts[{index}] has {num_tokens} tokens and max_new_tokens is {max_new_tokens}, "
            f"together more than the context of {model_name(model)!r}, {context}; shorten one"
        )


def check_prompt_tokens(
    token_ids: Sequence[int], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, index: int
) -> None:
    """The model has a row for each token of a prompt."""
    known = num_token_ids(model)
    unknown = max(token_ids)
    if unknown >= known:
        raise ValueError(
            f"prompts[{index}] has the token id {unknown}, {tokenizer.decode([unknown])!r}, and "
            f"the model knows {known}, from 0; pass the model's own tokenizer, or call "
            "model.resize_token_embeddings(len(tokenizer)) before it is trained on added tokens"
        )
