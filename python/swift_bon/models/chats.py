"""Chats as they are given: messages, the parts of their contents, and what in them is no text."""

from collections.abc import Sized
from typing import Any

Chat = list[dict[str, Any]]  # messages {"role": ..., "content": ...}

# where some libraries keep what a message has besides its content
MEDIA_KEYS = ("image", "images", "video", "videos", "audio", "audios")


def has_media(chat: Chat) -> bool:
    """Whether a part of a chat is no text, or a message has something beside its content."""
    is_part = any(part["type"] != "text" for message in chat for part in parts_of(message))
    return is_part or any(map(media_keys, chat))


def media_keys(message: dict[str, Any]) -> list[str]:
    """Those keys of a message under which pictures or sounds stand."""
    return [key for key in MEDIA_KEYS if not _is_empty(message.get(key))]


def is_started(chat: Chat) -> bool:
    return chat[-1]["role"] == "assistant"


def parts_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def with_content(chat: Chat, index: int, content: str | list[dict[str, Any]]) -> Chat:
    return [*chat[:index], {**chat[index], "content": content}, *chat[index + 1 :]]


def without_key(chat: Chat, index: int, key: str) -> Chat:
    rest = {name: value for name, value in chat[index].items() if name != key}
    return [*chat[:index], rest, *chat[index + 1 :]]


def _is_empty(value: object) -> bool:
    """As data sets have it in rows without any."""
    return value is None or (isinstance(value, Sized) and not len(value))
