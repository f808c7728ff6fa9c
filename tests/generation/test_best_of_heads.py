"""Heads that are not for the model of `best_of_n`."""

import pytest
import torch

from best_of_cases import PROMPTS, N, run
from decoding_cases import HIDDEN_SIZE, NUM_LAYERS, make_head
from swift_bon import best_of_n
from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (RewardHead(3, HIDDEN_SIZE), "head expects 3 hidden states of size 32.* has 4 of size 32"),
        (RewardHead(NUM_LAYERS, 64), "head expects 4 hidden states of size 64.* has 4 of size 32"),
        (RewardHead(NUM_LAYERS, HIDDEN_SIZE, feature="logits"), "head reads logits"),
    ],
    ids=["layers", "hidden-size", "feature"],
)
def test_a_head_that_does_not_fit(head, message):
    with pytest.raises(ValueError, match=message):
        run(head=head)


@pytest.mark.parametrize("head", [None, "path/to/head", torch.nn.Linear(1, 1)], ids=str)
def test_something_else_than_a_head(head):
    with pytest.raises(TypeError, match=r"expected a RewardHead; load one with RewardHead\.from_p"):
        best_of_n(tiny_model("llama"), tiny_tokenizer(), PROMPTS, head, N)


SNAPSHOT = "/cache/hub/models--Org--Model-1b/snapshots/0f3a"


@pytest.mark.parametrize(
    ("base_model", "model_name", "is_same"),
    [
        ("Org/Model-1b", "Org/Model-1b", True),
        ("Org/Model-1b", "org/model-1B", True),
        ("Org/Model-1b", "Model-1b", True),
        ("Org/Model-1b", "/data/models/Model-1b", True),
        ("Org/Model-1b", "/data/models/Model-1b/", True),
        ("Org/Model-1b", "C:\\models\\Model-1b", True),
        ("Org/Model-1b", SNAPSHOT, True),
        ("Org/Model-1b", SNAPSHOT + "/", True),
        (SNAPSHOT, "Org/Model-1b", True),
        (SNAPSHOT, "/other/models--Org--Model-1b/snapshots/77", True),
        (None, "Org/Model-1b", True),
        ("Org/Model-1b", "Org/Model-2b", False),
        ("Org/Model-1b", "Org/Model", False),
        ("Org/Model-1b", "", False),
        ("Org/Model-1b", "/data/Model-1b/checkpoint-7", False),
        (SNAPSHOT, "/cache/hub/models--Org--Model-2b/snapshots/0f3a", False),
    ],
)
def test_the_model_a_head_was_trained_for(base_model, model_name, is_same):
    model, head = tiny_model("llama"), make_head(base_model=base_model)
    model.name_or_path = model_name
    if is_same:
        assert len(run(model, "No", head)) == 1
        return
    with pytest.raises(ValueError) as caught:
        run(model, "No", head)
    message = str(caught.value)
    assert f"trained for the model {base_model!r}, this one is {model_name!r}" in message
    assert "set head.base_model = None" in message
    head.base_model = None  # what the error proposes works
    assert len(run(model, "No", head)) == 1
