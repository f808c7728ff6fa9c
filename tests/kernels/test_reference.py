"""The definition itself, against loops in plain Python and numbers worked out by hand."""

import math

import pytest
import torch

from swift_kernels import reference

NAN, INF = math.nan, math.inf


def score_in_python(hidden, reward_weight, reward_bias, gate_weight, gate_bias, scored):
    """The formula, number by number: `hidden` is a nested list [L][N][T][H]."""
    scores = []
    for candidate in range(len(hidden[0])):
        weighted_sum = gate_sum = 0.0
        for token in range(len(hidden[0][candidate])):
            if not scored[candidate][token]:
                continue
            reward, gate_logit = reward_bias, gate_bias
            for layer in range(len(hidden)):
                for index, value in enumerate(hidden[layer][candidate][token]):
                    reward += value * reward_weight[layer][index]
                    gate_logit += value * gate_weight[layer][index]
            gate = 1 / (1 + math.exp(-gate_logit))
            weighted_sum += gate * reward
            gate_sum += gate
        scores.append(weighted_sum / max(gate_sum, 1e-8) if any(scored[candidate]) else -INF)
    return scores


def test_equals_loops():
    torch.manual_seed(0)
    hidden = torch.randn(3, 4, 5, 6, dtype=torch.float64)
    weights = [torch.randn(size, dtype=torch.float64) for size in ((3, 6), (), (3, 6), ())]
    scored = torch.arange(20).view(4, 5) % 3 > 0
    scored[2] = False
    expected = score_in_python(*(x.tolist() for x in (hidden, *weights, scored)))
    actual = reference.score(hidden, *weights, scored)
    assert actual.tolist() == pytest.approx(expected, rel=1e-12)
    everything = [[True] * 5] * 4
    expected = score_in_python(*(x.tolist() for x in (hidden, *weights)), everything)
    assert reference.score(hidden, *weights).tolist() == pytest.approx(expected, rel=1e-12)


AVERAGES = {  # rewards, gates, scored, score
    "one_token": ([5.0], [0.25], [1], 5.0),
    "gates_weigh": ([1.0, 2.0], [0.75, 0.25], [1, 1], 1.25),
    "plain_average": ([1.0, 2.0, 6.0], [1.0, 1.0, 1.0], [1, 1, 1], 3.0),
    "unscored_is_left_out": ([1.0, 100.0, 3.0], [0.5, 0.5, 0.5], [1, 0, 1], 2.0),
    "unscored_may_be_nan": ([1.0, NAN, 3.0], [0.5, 0.5, NAN], [1, 0, 0], 1.0),
    "unscored_may_be_inf": ([1.0, INF, 3.0], [0.5, 0.0, 0.5], [1, 0, 1], 2.0),
    "closed_gates_divide_by_the_floor": ([4.0, 4.0], [1e-9, 1e-9], [1, 1], 0.8),
    "no_scored_token": ([1.0, 2.0], [0.5, 0.5], [0, 0], -INF),
    "no_token": ([], [], [], -INF),
}


@pytest.mark.parametrize("case", AVERAGES)
def test_average_by_hand(case):
    rewards, gates, scored, score = AVERAGES[case]
    rewards, gates = (torch.tensor([values], dtype=torch.float64) for values in (rewards, gates))
    actual = reference.average_tokens(rewards, gates, torch.tensor([scored], dtype=torch.bool))
    assert actual.tolist() == pytest.approx([score])


def test_without_gate():
    hidden = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[1.0, 0.0], [0.0, 1.0]]]])  # [2, 1, 2, 2]
    weight, bias = torch.tensor([[1.0, 10.0], [100.0, 1000.0]]), torch.tensor(0.5)
    rewards, gates = reference.token_values(hidden, weight, bias, None, None)
    assert rewards.tolist() == [[121.5, 1043.5]]
    assert gates.tolist() == [[1.0, 1.0]]
    assert reference.score(hidden, weight, bias, None, None).tolist() == [582.5]
