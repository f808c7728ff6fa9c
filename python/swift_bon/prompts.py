"""From prompts to token ids, left-padded."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_bon.checks import check_chat_template, check_rendered


def render_prompts(tokenizer, chats: Sequence[list[dict]]) -> list[list[int]]:
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


def pad_left(rows: Sequence[list[int]], pad_token_id: int, device) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask`, `[N, T]` each."""
    length = max(map(len, rows))
    input_ids = torch.full((len(rows), length), pad_token_id)
    attention_mask = torch.zeros(len(rows), length, dtype=torch.int64)
    for index, row in enumerate(rows):
        input_ids[index, length - len(row) :] = torch.tensor(row)
        attention_mask[index, length - len(row) :] = 1
    return {"input_ids": input_ids.to(device), "attention_mask": attention_mask.to(device)}


def pad_token_id(tokenizer) -> int:
    """Any id will do where attention is masked: the pad token, else the end token, else 0."""
    for token_id in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token_id is not None:
            return token_id
    return 0
