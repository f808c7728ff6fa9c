"""Templates and tokenizers as models have them, for the tests of what is rendered."""

import datetime

from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from tiny_models import CHAT_TEMPLATE, tiny_tokenizer

# As templates of models with pictures: only parts are read, and what is a string is not.
PARTS_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{% for part in message.content %}"
    "{% if part.type == 'image' %}!{% elif part.type == 'text' %}{{ part.text }}{% endif %}"
    "{% endfor %}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
# As most newer ones: a string or parts, each part on its own terms.
BOTH_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{% if message.content is string %}"
    "{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }},{% endif %}{% endfor %}{% endif %}</s>"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
CLOCK_TEMPLATE = (
    "{% if not today is defined %}{% set today = strftime_now('%A') %}{% endif %}"
    "{{ today }}" + CHAT_TEMPLATE
)


class OwnWay:
    """A tokenizer that renders by itself, by the names that Mistral's has; no attribute else."""

    def __init__(self):
        self._inner = tiny_tokenizer()
        self.tokenizer = object()  # of the library that renders; not as a processor's
        self.pad_token_id, self.eos_token_id = self._inner.pad_token_id, self._inner.eos_token_id
        self.batch_decode, self.decode = self._inner.batch_decode, self._inner.decode

    def __call__(self, *args, **kwargs):
        return self._inner(*args, **kwargs)

    def apply_chat_template(
        self,
        conversation,
        tools=None,
        add_generation_prompt=False,
        continue_final_message=False,
        tokenize=True,
        return_dict=True,
        reasoning_effort=None,
    ):
        if not tokenize:
            raise NotImplementedError("a text of it would be read otherwise")
        is_last_assistant = conversation[-1]["role"] == "assistant"
        if (
            is_last_assistant != continue_final_message
            or is_last_assistant == add_generation_prompt
        ):
            raise ValueError("the last message decides which")
        text = "".join(f"{message['role'][0]}:{message['content']}," for message in conversation)
        text = text[:-1] if continue_final_message else f"{text}a:"
        encoded = self._inner(f"{text}{reasoning_effort or ''}", add_special_tokens=False)
        return encoded if return_dict else encoded["input_ids"]


def own_way(value=None) -> PreTrainedTokenizerFast:
    """As Mistral's in transformers: of the common class, with a `chat_template` that is None."""

    class Own(PreTrainedTokenizerFast):
        def apply_chat_template(self, conversation, tokenize=True, **kwargs):
            return OwnWay().apply_chat_template(conversation, tokenize=tokenize, **kwargs)

        def get_chat_template(self, *args, **kwargs):
            raise NotImplementedError("by design")

    tokenizer = tiny_tokenizer(value)
    tokenizer.__class__ = Own
    tokenizer.tokenizer = object()
    return tokenizer


def text_of(tokenizer, ids: list[int]) -> str:
    return tokenizer.decode(ids)


def turn(content, role: str = "user") -> dict:
    return {"role": role, "content": content}


def set_day(monkeypatch, day: int) -> None:
    """The clock that templates read: a day of March 2031."""

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2031, 3, day, 12, tzinfo=tz)

    monkeypatch.setattr(chat_template_utils, "datetime", Frozen)
