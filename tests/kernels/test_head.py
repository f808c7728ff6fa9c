"""The head: its parameters, its errors, and calling it."""

import pytest
import torch

from reference_inputs import BACKENDS, random_head, random_layers
from swift_kernels import RewardHead, score_candidates


def test_parameters():
    head = RewardHead(3, 24)
    shapes = {name: tuple(value.shape) for name, value in head.named_parameters()}
    assert shapes == {
        "reward_weight": (3, 24),
        "reward_bias": (),
        "gate_weight": (3, 24),
        "gate_bias": (),
    }
    assert all(value.dtype == torch.float32 for value in head.parameters())


def test_parameters_without_gate():
    head = RewardHead(3, 24, gated=False)
    assert head.gate_weight is None and head.gate_bias is None
    assert list(head.state_dict()) == ["reward_weight", "reward_bias"]


def test_number_of_parameters_at_8b():
    head = RewardHead(33, 4096)
    assert sum(parameter.numel() for parameter in head.parameters()) == 270_338


def test_parameters_stay_float32_under_another_default_dtype():
    torch.set_default_dtype(torch.bfloat16)
    try:
        head = RewardHead(3, 24)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(value.dtype == torch.float32 for value in head.parameters())


def test_start_is_that_of_a_linear_layer():
    head = RewardHead(4, 2500)
    bound = 10_000**-0.5
    for parameter in (head.reward_weight, head.gate_weight):
        assert parameter.abs().max() <= bound
        assert abs(parameter.std() - bound / 3**0.5) < 0.05 * bound
    assert abs(head.reward_bias) <= bound
    assert not torch.equal(head.reward_weight, head.gate_weight)


def test_start_follows_the_seed():
    starts = []
    for _ in range(2):
        torch.manual_seed(5)
        starts.append(RewardHead(3, 24).state_dict())
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])


def test_subset_of_layers():
    head = RewardHead(5, 24, layers=range(0, 5, 2))
    assert head.layers == (0, 2, 4)
    assert head.num_layers == 5
    assert head.num_selected == 3
    assert head.reward_weight.shape == (3, 24)


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_stacked_weight(gated):
    head = random_head(3, 24, gated=gated).to(torch.float64)
    stacked = head.stacked_weight()
    assert stacked.dtype == torch.float32
    assert stacked.shape == (2 if gated else 1, 3, 24)
    assert torch.equal(stacked[0], head.reward_weight.float())
    if gated:
        assert torch.equal(stacked[1], head.gate_weight.float())


def test_config_makes_the_same_head():
    config = {
        "num_layers": 5,
        "hidden_size": 24,
        "gated": False,
        "layers": [1, 4],
        "base_model": "someone/some-model",
        "scored_tokens": "response",
        "feature": "logits",
    }
    head = RewardHead(**config)
    assert head.config() == config
    assert RewardHead(**head.config()).config() == config
    assert "base_model='someone/some-model'" in repr(head)


def test_defaults():
    assert RewardHead(5, 24).config() == {
        "num_layers": 5,
        "hidden_size": 24,
        "gated": True,
        "layers": None,
        "base_model": None,
        "scored_tokens": "fed",
        "feature": "hidden_states",
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_calling_it_scores(backend):
    head, layers = random_head(2, 24), random_layers((2, 3, 7, 24))
    mask = torch.ones(3, 7, dtype=torch.int64, device=layers[0].device).tril()
    with torch.no_grad():
        expected = score_candidates(layers, head, mask, backend=backend)
        assert torch.equal(head(layers, mask, backend=backend), expected)


ERRORS = {
    "num_layers_zero": ({"num_layers": 0}, ValueError, "^num_layers is 0"),
    "num_layers_float": ({"num_layers": 3.0}, TypeError, "^num_layers is 3.0"),
    "num_layers_bool": ({"num_layers": True}, TypeError, "^num_layers is True"),
    "hidden_size_negative": ({"hidden_size": -1}, ValueError, "^hidden_size is -1"),
    "hidden_size_string": ({"hidden_size": "24"}, TypeError, "^hidden_size is '24'"),
    "gated_string": ({"gated": "no"}, TypeError, "^gated is 'no'"),
    "gated_none": ({"gated": None}, TypeError, "^gated is None"),
    "layers_empty": ({"layers": []}, ValueError, r"^layers is \[\]"),
    "layers_twice": ({"layers": [0, 1, 1]}, ValueError, r"^layers is \[0, 1, 1\]"),
    "layers_descending": ({"layers": [2, 1]}, ValueError, r"^layers is \[2, 1\]"),
    "layers_negative": ({"layers": [-1, 1]}, ValueError, "^layers is .*from 0 to 4"),
    "layers_beyond": ({"layers": [0, 5]}, ValueError, "^layers is .*from 0 to 4"),
    "layers_number": ({"layers": 3}, TypeError, "^layers is 3"),
    "layers_string": ({"layers": "01"}, TypeError, "^layers is"),
    "layers_bool": ({"layers": [False, True]}, TypeError, "^layers is"),
    "scored_tokens": ({"scored_tokens": "all"}, ValueError, "^scored_tokens is 'all'.*'fed'"),
    "feature": ({"feature": "states"}, ValueError, "^feature is 'states'.*'hidden_states'"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    change, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        RewardHead(**{"num_layers": 5, "hidden_size": 24, **change})
