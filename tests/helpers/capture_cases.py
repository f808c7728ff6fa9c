"""What the tests of `Capture` share: a batch with left padding, and its states taken both ways."""

import torch

from swift_bon.models.capture import Capture
from tiny_models import VOCAB

INPUT_IDS = (torch.arange(27) * 7 % len(VOCAB)).view(3, 9)
ATTENTION_MASK = torch.tensor(
    [[0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1]]
)


def assert_same_states(captured, expected, kept=None):
    assert len(captured) == len(expected)
    for layer, (state, other) in enumerate(zip(captured, expected, strict=True)):
        assert state.shape == other.shape and state.dtype == other.dtype, layer
        if kept is not None:
            state, other = state[kept], other[kept]
        assert torch.equal(state, other), f"hidden state {layer} differs"


@torch.no_grad()
def forward(model, input_ids=INPUT_IDS, **kwargs):
    return model(input_ids=input_ids, **kwargs)


@torch.no_grad()
def capture_forward(model, input_ids=INPUT_IDS, *, layers=None, **kwargs):
    """The hidden states of one plain forward, and its outputs."""
    received = []
    with Capture(model, received.append, layers=layers):
        outputs = model(input_ids=input_ids, **kwargs)
    (states,) = received
    return states, outputs
