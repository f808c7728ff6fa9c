"""The truth of the doctor, against numbers worked out by hand."""

import math

import pytest
import torch

from swift_bon.diagnosis.own_forward import own_score, own_states, relative_distance, rounding_error
from swift_kernels import RewardHead
from tiny_models import tiny_model

STATES = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])  # [L, T, H]
REWARD = torch.tensor([[1.0, 0.0], [0.0, 2.0]])  # rewards 13.5 and 19.5, with the bias
GATE = torch.tensor([[0.0, 0.0], [math.log(3) / 2, 0.0]])  # gates 1/2 and 3/4, with the bias


def head_of(*, gate_bias: float | None = None, layers: list[int] | None = None) -> RewardHead:
    rows = [0, 1] if layers is None else layers
    head = RewardHead(2, 2, gated=gate_bias is not None, layers=layers)
    with torch.no_grad():
        head.reward_weight.copy_(REWARD[rows])
        head.reward_bias.fill_(0.5)
        if gate_bias is not None:
            head.gate_weight.copy_(GATE[rows])
            head.gate_bias.fill_(gate_bias)
    return head


@pytest.mark.parametrize(
    ("head", "states", "score"),
    [
        (
            head_of(gate_bias=-2.5 * math.log(3)),
            STATES,
            (13.5 / 2 + 19.5 * 3 / 4) / (1 / 2 + 3 / 4),
        ),
        (head_of(), STATES, (13.5 + 19.5) / 2),
        (head_of(layers=[1]), STATES, (12.5 + 16.5) / 2),
        (head_of(gate_bias=-1000.0), STATES, 0.0),
        (head_of(), STATES[:, :0], -math.inf),
    ],
    ids=["gated", "no-gate", "one-layer", "shut", "no-token"],
)
def test_the_score_is_the_formula(head, states, score):
    assert own_score(states, head) == pytest.approx(score, rel=1e-6)


def test_a_distance_is_relative_to_the_length_of_the_state():
    other = torch.tensor([[[3.0, 4.0], [30.0, 40.0]]])
    assert relative_distance(other, other) == 0
    assert relative_distance(other + torch.tensor([0.0, 0.5]), other) == pytest.approx(0.1)
    assert relative_distance(other[:, :0], other[:, :0]) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_input_is_off_by_one_rounding_while_it_is_open(dtype):
    model = tiny_model("llama", dtype)
    ids = [7, 30, 8]
    before = own_states(model, ids)
    with rounding_error(model, seed=4):
        moved = own_states(model, ids)
    off = (moved[0].double() - before[0].double()) / before[0].double()
    eps = torch.finfo(dtype).eps
    assert (0.4 * eps <= off.abs()).all()  # one step is between eps / 2 and eps of a number
    assert (off.abs() <= 1.6 * eps).all()
    after = own_states(model, ids)
    assert all(map(torch.equal, before, after))
