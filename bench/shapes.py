"""The shapes of the language models whose hidden states are scored."""

from typing import NamedTuple


class ModelShape(NamedTuple):
    name: str
    num_layers: int  # L: blocks + 1, the embedding output counts
    hidden_size: int  # H


SHAPES = {
    shape.name: shape
    for shape in (
        ModelShape("Llama-3.2-3B", 29, 3072),
        ModelShape("Llama-3.1-8B", 33, 4096),
        ModelShape("Ministral-8B", 37, 4096),
        ModelShape("Qwen2.5-0.5B", 25, 896),
    )
}
