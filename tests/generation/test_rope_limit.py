"""Positions that turn with the longest text of a batch: texts on both sides stand apart."""

import pytest
import torch

from best_of_cases import assert_same, run
from swift_bon.models.forward import Response, response_states
from swift_bon.models.rope_limit import rope_limit
from tiny_models import PAD, tiny_model

LIMIT = 24
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [5.0] * 4}
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0}
PROMPTS = ["Yes", "How much is seven and seven, and eleven more?", "Maybe not"]


def model_with(rope):
    rope = {**rope, "original_max_position_embeddings": LIMIT}
    family = "phi3" if rope["rope_type"] == "longrope" else "llama"
    return tiny_model(family, original_max_position_embeddings=LIMIT, rope_scaling=rope)


@pytest.mark.parametrize("rope", [LONGROPE, DYNAMIC], ids=lambda rope: rope["rope_type"])
def test_a_long_neighbour_changes_nothing(rope):
    model = model_with(rope)
    assert rope_limit(model) == LIMIT
    together, alone = (run(model, prompts=PROMPTS, batch_size=n) for n in (64, 1))
    assert_same(together, alone)


@pytest.mark.parametrize("rope", [LONGROPE, DYNAMIC], ids=lambda rope: rope["rope_type"])
def test_stored_states_do_not_depend_on_a_long_neighbour(rope):
    model = model_with(rope)
    prompts = [[4, 9, 10], [4, *range(6, 40)]]
    responses = [Response(0, [20, 21, 22], 3), Response(1, [30, 31, 32, 33], 4)]

    def states(batch_size):
        batches = response_states(
            model, prompts, responses, layers=(0, 1, 2, 3), pad_id=PAD, batch_size=batch_size
        )
        return torch.cat([torch.stack(batch.layers) for batch in batches], dim=1)

    torch.testing.assert_close(states(9), states(1), rtol=1e-4, atol=1e-4)


def test_other_positions_have_no_limit():
    assert rope_limit(tiny_model("llama")) == rope_limit(tiny_model("gpt2")) == float("inf")
