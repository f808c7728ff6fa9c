"""What a model is given besides text: pictures, sounds, videos, as tensors by argument."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from transformers import GenerationConfig

from swift_bon.models.chat_templates import ChatTemplate, text_tokenizer
from swift_bon.models.chats import Chat, has_media
from swift_bon.models.template_arguments import check_template_arguments
from swift_bon.models.vocabulary import input_device
from swift_bon.models.wrappers import bare_model

OF_TEXT = ("input_ids", "attention_mask")


class RenderedPrompt(NamedTuple):
    """What the model reads of a chat."""

    token_ids: list[int]
    media: dict[str, Tensor]  # by argument, first dimension 1 or the number of pictures, ...


def media_arguments(generate_kwargs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Those tensors among the arguments of `generate` that are for the model."""
    own = GenerationConfig()
    return {
        name: value
        for name, value in generate_kwargs.items()
        if isinstance(value, Tensor) and not hasattr(own, name)
    }


def render_with_media(
    model: Any,
    tokenizer: Any,
    chats: Sequence[Chat],
    chat_template_kwargs: Mapping[str, Any] | None,
    given: Mapping[str, Tensor],
) -> list[RenderedPrompt]:
    """As `render_prompts`, with what the parts of the chats are besides text.

    Args:
        model: whose device and dtype the tensors of a processor get.
        tokenizer: or the model's processor, which reads pictures from the chats.
        given: by argument, what the caller has made of pictures: of the one chat that there is.

    Raises:
        ValueError: a part that the model would not get, or tensors and more chats than one.
    """
    reader = text_tokenizer(tokenizer)
    names = ", ".join(given)
    if given and len(chats) != 1:
        raise ValueError(
            f"{names} came with {len(chats)} prompts, and which of them it belongs to cannot be "
            "told; call best_of_n for each prompt, or pass the model's processor in place of its "
            "tokenizer and the pictures in the chats"
        )
    if given and reader is not tokenizer and has_media(chats[0]):
        raise ValueError(
            f"{names} came beside a chat with pictures and a processor that reads them; leave "
            f"{names} out and put each picture into its part, as {{'type': 'image', 'image': ...}}"
        )
    own = getattr(tokenizer, "chat_template", None)
    is_read = reader is not tokenizer and bool(own) and not given  # by the processor
    arguments = check_template_arguments(chat_template_kwargs)
    if own and given and reader is not tokenizer:
        arguments = {"chat_template": own, **arguments}
    template = ChatTemplate(tokenizer if is_read else reader, arguments)
    rendered = []
    for index, chat in enumerate(chats):
        where = f"prompts[{index}]"
        if not is_read or not has_media(chat):
            ids = template.render(chat, where, gets_media=bool(given))
            rendered.append(RenderedPrompt(ids, dict(given)))
            continue
        ids, encoded = template.render_all(chat, where)
        media = {
            name: _for_model(value, model) for name, value in encoded.items() if name not in OF_TEXT
        }
        if all(value.shape == (1, len(ids)) for value in media.values()):  # of its tokens alone
            raise ValueError(
                f"{where} has parts that are no text, and the processor finds nothing in them; "
                "give each as {'type': 'image', 'image': ...}, or with its 'url' or 'path'"
            )
        rendered.append(RenderedPrompt(ids, media))
    return rendered


def repeat_media(media: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """For so many candidates of a prompt, each with all of it, one after the other."""
    return {
        name: value.repeat(count, *[1] * (value.dim() - 1)) if value.dim() else value
        for name, value in media.items()
    }


def _for_model(value: Tensor, model: Any) -> Tensor:
    dtype = bare_model(model).dtype if value.is_floating_point() else value.dtype
    return value.to(device=input_device(model), dtype=dtype)
