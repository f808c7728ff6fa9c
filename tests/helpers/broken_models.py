"""Tiny models, each broken on purpose in one way that `generate` does not notice."""

import functools
import threading
import time

from transformers import PreTrainedModel

from tiny_models import tiny_model


def replace_forward(model: PreTrainedModel, forward) -> PreTrainedModel:
    """`forward(original, *args, **kwargs)` in place of the model's, with its signature."""
    original = model.forward

    @functools.wraps(original)
    def replaced(*args, **kwargs):
        return forward(original, *args, **kwargs)

    model.forward = replaced
    return model


def ignores_padding(name: str = "llama") -> PreTrainedModel:
    """Neither the mask nor the positions reach the blocks."""

    def forward(original, *args, attention_mask=None, position_ids=None, **kwargs):
        return original(*args, **kwargs)

    return replace_forward(tiny_model(name), forward)


def shows_other_inputs(name: str = "llama") -> PreTrainedModel:
    """In decoding steps a block is handed twice the state, and halves it by itself."""
    model = tiny_model(name)
    block = model.get_decoder().layers[1]

    def double(module, args):
        return (args[0] * 2, *args[1:]) if args[0].shape[1] == 1 else None

    block.register_forward_pre_hook(double)
    original = block.forward

    @functools.wraps(original)
    def halve(hidden_states, *args, **kwargs):
        factor = 0.5 if hidden_states.shape[1] == 1 else 1.0
        return original(hidden_states * factor, *args, **kwargs)

    block.forward = halve
    return model


def is_steered(name: str = "llama") -> PreTrainedModel:
    """A hook that adds a vector before a block, which `output_hidden_states` does not show."""
    model = tiny_model(name)
    block = model.get_decoder().layers[1]
    block.register_forward_pre_hook(lambda module, args: (args[0] + 0.5, *args[1:]))
    return model


def forgets(name: str = "llama", num_kept: int = 12) -> PreTrainedModel:
    """After each forward the cache holds only the first tokens; the others are zeroed."""

    def forward(original, *args, **kwargs):
        output = original(*args, **kwargs)
        for layer in getattr(output.get("past_key_values"), "layers", ()):
            layer.keys[:, :, num_kept:] = 0
            layer.values[:, :, num_kept:] = 0
        return output

    return replace_forward(tiny_model(name), forward)


def drops_out(name: str = "llama") -> PreTrainedModel:
    """In training mode: what dropout leaves is another thing each time."""
    return tiny_model(name, attention_dropout=0.5).train()


def mixes_threads(name: str = "llama") -> PreTrainedModel:
    """The ids of a call wait where another thread may replace them."""
    model = tiny_model(name)
    waiting = {}

    def forward(original, input_ids=None, **kwargs):
        waiting["ids"] = (input_ids, threading.get_ident())
        time.sleep(0.001)
        ids, owner = waiting["ids"]
        is_mine = owner == threading.get_ident() or ids.shape != input_ids.shape
        return original(input_ids=input_ids if is_mine else ids, **kwargs)

    return replace_forward(model, forward)


def fails_in_batches(name: str = "llama") -> PreTrainedModel:
    """One text at a time is all it can do."""

    def forward(original, input_ids=None, **kwargs):
        if len(input_ids) > 1:
            raise IndexError("the second row is out of reach")
        return original(input_ids=input_ids, **kwargs)

    return replace_forward(tiny_model(name), forward)


def looks_at_neighbours(name: str = "llama") -> PreTrainedModel:
    """What comes next in a text is also what comes next in the one beside it."""

    def forward(original, *args, **kwargs):
        output = original(*args, **kwargs)
        output.logits = output.logits + output.logits.roll(1, dims=0)
        return output

    return replace_forward(tiny_model(name), forward)
