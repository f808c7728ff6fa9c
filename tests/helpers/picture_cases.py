"""A tiny model that sees, and its processor."""

import torch
from PIL import Image
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from prompt_cases import PARTS_TEMPLATE
from tiny_models import SHAPE, VOCAB, build, tiny_tokenizer

SIDE, PATCH = 8, 4  # pixels
PATCHES = (SIDE // PATCH) ** 2  # tokens of a picture
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "projection_dim": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_channels": 3,
}


def seeing_model():
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, **VISION),
        text_config=LlamaConfig(**SHAPE),
        image_token_index=VOCAB["!"],
        vision_feature_layer=-1,
        image_seq_length=PATCHES,
    )
    model = build(LlavaForConditionalGeneration, config)
    model.name_or_path = "tiny/llava"
    return model


def processor(template: str | None = PARTS_TEMPLATE, **options) -> LlavaProcessor:
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
        ),
        tokenizer=tiny_tokenizer(**options),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        image_token="!",
        num_additional_image_tokens=1,
        chat_template=template,
    )


def picture(shade: int) -> Image.Image:
    """Not the same in all places."""
    image = Image.new("RGB", (SIDE, SIDE), (shade, 40, 255 - shade))
    image.paste((255 - shade, shade, 7), (0, 0, SIDE // 2, SIDE))
    return image


def pixels(*shades: int) -> torch.Tensor:
    """`[pictures, 3, SIDE, SIDE]` as the processor makes them."""
    made = processor().image_processor([picture(shade) for shade in shades], return_tensors="pt")
    return made["pixel_values"]


def seen(*shades: int, text: str = "Is it red?") -> list[dict]:
    """A chat with pictures in it."""
    parts = [{"type": "image", "image": picture(shade)} for shade in shades]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]
