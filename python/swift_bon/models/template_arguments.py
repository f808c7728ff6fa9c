"""What a caller may pass to a chat template, and what of it a file can keep."""

import json
from collections.abc import Mapping
from typing import Any

OWN_ARGUMENTS = (
    "add_generation_prompt",
    "continue_final_message",
    "conversation",
    "max_length",
    "messages",
    "padding",
    "return_assistant_tokens_mask",
    "return_dict",
    "return_tensors",
    "tokenize",
    "tokenizer_kwargs",
    "truncation",
)


def check_template_arguments(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    """`chat_template_kwargs` as they may be given."""
    if arguments is None:
        return {}
    if not isinstance(arguments, Mapping) or not all(isinstance(name, str) for name in arguments):
        raise TypeError(
            f"chat_template_kwargs is {arguments!r:.80}, expected names and values for the chat "
            "template, as in {'enable_thinking': False}"
        )
    for name in arguments:
        if name in OWN_ARGUMENTS:
            raise ValueError(
                f"chat_template_kwargs has {name!r}, which is set here; give only what the chat "
                "template itself reads, as enable_thinking or tools"
            )
    return dict(arguments)


def storable_arguments(arguments: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As a header keeps them, for all that render its prompts again; None where there are none."""
    checked = check_template_arguments(arguments)
    try:
        return json.loads(json.dumps(checked)) or None
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"chat_template_kwargs cannot be kept with the candidates: {error}; give what JSON "
            "holds, a tool as transformers.utils.get_json_schema(tool)"
        ) from error
