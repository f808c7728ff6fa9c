"""What a test may ask of a model: its hooks, and how many tokens went through it."""

from swift_bon.generation.batch_proof import prove_batches
from swift_bon.models.capture import find_decoder_parts


def hooks_of(model) -> list:
    """All forward hooks, those that transformers installs for `output_hidden_states` included."""
    return [
        (name, key)
        for name, module in model.named_modules()
        for key in [*module._forward_hooks, *module._forward_pre_hooks]
    ]


class TokenCounter:
    """Counts the tokens that go through a model."""

    def __init__(self, model):
        self.num_tokens = 0
        find_decoder_parts(model)  # the short forwards of both proofs are not what is counted
        prove_batches(model)
        model.get_input_embeddings().register_forward_hook(self.add)

    def add(self, module, args, output):
        self.num_tokens += output.shape[0] * output.shape[1]
