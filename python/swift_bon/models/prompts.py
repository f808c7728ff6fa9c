"""From prompts to token ids."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.models.identity import context_length, model_name

Chat = list[dict[str, Any]]  # messages {"role": ..., "content": ...}
Prompts = str | Sequence[str] | Sequence[dict[str, Any]] | Sequence[Sequence[dict[str, Any]]]


def render_prompts(tokenizer: PreTrainedTokenizerBase, chats: Sequence[Chat]) -> list[list[int]]:
    """Token ids of each chat, through the chat template, ready for the assistant's turn."""
    check_chat_template(tokenizer)
    rendered = [
        tokenizer(
            tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True),
            add_special_tokens=False,  # the template has them
        )["input_ids"]
        for chat in chats
    ]
    for index, ids in enumerate(rendered):
        check_rendered(ids, index)
    return rendered


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Any id will do where attention is masked: the pad token, else the end token, else 0."""
    for token_id in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token_id is not None:
            return token_id
    return 0


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
        isinstance(message, dict) and {"role", "content"} <= message.keys() for message in prompt
    ):
        raise TypeError(
            f"prompts[{index}] is {type(prompt).__name__}, expected a string or a list of messages "
            "{'role': ..., 'content': ...}"
        )
    if not prompt or not any(str(message["content"]).strip() for message in prompt):
        raise ValueError(f"prompts[{index}] is empty, expected at least one message with text")
    return list(prompt)


def check_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError(
            "the tokenizer has no chat template, so prompts cannot be rendered; set "
            "tokenizer.chat_template to the model's template, or for plain text to "
            "'{% for message in messages %}{{ message.content }}{% endfor %}'"
        )


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


def check_rendered(ids: list[int], index: int) -> None:
    if not ids:
        raise ValueError(
            f"prompts[{index}] is empty once it is rendered; check tokenizer.chat_template"
        )
