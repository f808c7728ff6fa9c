"""What RunningScore refuses, and that it then stays as it was."""

import pytest
import torch

from reference_inputs import DEVICE, random_head, random_layers
from swift_kernels import RunningScore

ERRORS = {
    "prompt": (lambda x, a: ([y.repeat(1, 4, 1) for y in x], a), ValueError, r"\(3, 4, 24\)"),
    "other_batch": (lambda x, a: ([y[:2] for y in x], a), ValueError, r"\(2, 1, 24\), expected"),
    "layers": (lambda x, a: (x[:1], a), ValueError, "step_hidden_states has 1 layers"),
    "states_none": (lambda x, a: (None, a), TypeError, "step_hidden_states is NoneType"),
    "states_dtype": (lambda x, a: ([y.double() for y in x], a), TypeError, "step_hidden_states"),
    "active_none": (lambda x, a: (x, None), TypeError, "active is NoneType"),
    "active_float": (lambda x, a: (x, a.float()), TypeError, "active is torch.float32"),
    "active_shape": (lambda x, a: (x, a[:, None]), ValueError, r"active has shape \(3, 1\)"),
    "active_short": (lambda x, a: (x, a[:2]), ValueError, r"active has shape \(2,\)"),
    "active_device": (lambda x, a: (x, a.to("meta")), ValueError, "active is on meta"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_leave_the_sums(case):
    change, error, message = ERRORS[case]
    step, active = random_layers((2, 3, 1, 24)), torch.ones(3, dtype=torch.bool, device=DEVICE)
    score = RunningScore(random_head(2, 24), 3)
    score.update(step, active)
    before = score.scores()
    with pytest.raises(error, match=message):
        score.update(*change(step, active))
    assert torch.equal(score.scores(), before)


@pytest.mark.parametrize("num_candidates, error", [(0, ValueError), (2.0, TypeError)])
def test_number_of_candidates(num_candidates, error):
    with pytest.raises(error, match="^num_candidates"):
        RunningScore(random_head(2, 24), num_candidates)


def test_states_of_another_device_than_the_sums():
    score = RunningScore(random_head(2, 24), 3, device="meta")
    step = random_layers((2, 3, 1, 24))
    with pytest.raises(ValueError, match=r"step_hidden_states\[0\] is on .*, the sums on meta"):
        score.update(step, torch.ones(3, dtype=torch.bool, device="meta"))


def test_unknown_backend():
    with pytest.raises(ValueError, match="^backend is 'gpu'"):
        RunningScore(random_head(2, 24), 3, backend="gpu")
