"""The benchmarks' own correctness: the peers compute the score, and a wrong answer is noticed."""

import pytest
import torch

import eager_head
import score
import score_measure
import step
import train_step
from eager_head import EagerHead, PerLayerHead, float_matmul, float_sum, split_matmul
from oracle import (
    PEER_TOLERANCE,
    WrongAnswer,
    check_accuracy,
    exact_scores,
    left_padding,
    random_head,
    relative_error,
)
from reference_inputs import exact_scores as independent_scores
from score_forms import OURS, Case, CompileBudget, CompiledForm, NotCompiled, eager_forms
from score_measure import Conditions, measure
from shapes import SHAPES, ModelShape
from timing import Bandwidth

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CASE = Case(ModelShape("tiny", 3, 64), 4, 8, torch.bfloat16)
CONDITIONS = Conditions(DEVICE, Bandwidth(10.0, 20.0), rounds=2)


@pytest.fixture
def head():
    return random_head(3, 64, DEVICE).requires_grad_(False)


@pytest.fixture
def layers():
    return CASE.layers(DEVICE)


@pytest.fixture(params=["all", "left_padded"])
def mask(request):
    return None if request.param == "all" else left_padding(4, 8, DEVICE)


def test_half_is_padding():
    mask = left_padding(4, 8, DEVICE)
    assert mask.sum(1).tolist() == [7, 5, 3, 1]
    assert not mask[:, 0].any() and mask[:, -1].all()


def test_the_oracle_is_the_reference(head, layers, mask):
    torch.testing.assert_close(
        exact_scores(layers, head, mask), independent_scores(layers, head, mask)
    )


def _mm_with_out_dtype(left, right, out_dtype):
    return (left.to(out_dtype) @ right.to(out_dtype)).to(out_dtype)


@pytest.mark.parametrize("project", [float_matmul, float_sum, split_matmul])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_peers_compute_the_score(monkeypatch, head, mask, project, dtype):
    if DEVICE.type == "cpu":  # `out_dtype` exists for CUDA only
        monkeypatch.setattr(eager_head.torch, "mm", _mm_with_out_dtype)
    layers = CASE._replace(dtype=dtype).layers(DEVICE)
    exact = exact_scores(layers, head, mask)
    for form in (EagerHead(head), PerLayerHead(head, project)):
        assert relative_error(form(layers, mask), exact) < PEER_TOLERANCE


def test_error_of_what_is_not_finite():
    exact = torch.tensor([1.0, float("-inf")], dtype=torch.float64)
    assert relative_error(torch.tensor([1.0, float("-inf")]), exact) == 0
    assert relative_error(torch.tensor([1.0, 0.0]), exact) == float("inf")
    assert relative_error(torch.tensor([float("nan"), float("-inf")]), exact) == float("inf")
    assert relative_error(torch.tensor([1.0]), exact) == float("inf")


@pytest.mark.parametrize("error", [float("nan"), float("inf"), 1e-3])
def test_a_wrong_answer_is_noticed(error):
    with pytest.raises(WrongAnswer, match="float64"):
        check_accuracy("form", error, None)
    with pytest.raises(WrongAnswer):
        check_accuracy("form", error, 1e-7)


def test_ours_is_held_to_twice_eager():
    check_accuracy(OURS, 1.9e-5, 1e-5)
    with pytest.raises(WrongAnswer):
        check_accuracy(OURS, 2.4e-5, 1e-5)


def test_a_row_has_all_forms(head, mask):
    row = measure(CASE, head, eager_forms(head, CASE.dtype), CONDITIONS, mask)
    ours = row["forms"][OURS]
    scored_bytes = 3 * 4 * 8 * 64 * 2 * (1.0 if mask is None else 0.5)
    assert row["scored_percent"] == (100.0 if mask is None else 50.0)
    assert ours["gb_per_s"] == pytest.approx(scored_bytes / ours["p50_ms"] / 1e6, abs=0.01)
    assert set(row["speedup"]) >= {"eager", "per_layer"}
    assert row["left_out"] == {}


def test_a_wrong_form_is_not_timed(monkeypatch, head):
    def sample(*_):
        raise AssertionError("timed")

    monkeypatch.setattr(score_measure, "sample_in_turns", sample)
    forms = eager_forms(head, CASE.dtype)
    for name in forms:
        wrong = {**forms, name: lambda layers, form=forms[name]: form(layers) + 0.01}
        with pytest.raises(WrongAnswer, match=name):
            measure(CASE, head, wrong, CONDITIONS)


def test_a_peer_out_of_memory_is_left_out(head):
    def too_large(_):
        raise torch.OutOfMemoryError("out of memory\nand more")

    forms = {**eager_forms(head, CASE.dtype), "eager": too_large}
    row = measure(CASE, head, forms, CONDITIONS)
    assert row["forms"]["eager"] is None
    assert row["left_out"] == {"eager": "OutOfMemoryError: out of memory"}
    with pytest.raises(torch.OutOfMemoryError):
        measure(CASE, head, {OURS: too_large}, CONDITIONS)


def test_compiling_stops_when_its_time_is_up(head):
    budget = CompileBudget(1e-9)
    first, second = (CompiledForm(PerLayerHead(head), budget) for _ in range(2))
    forms = {**eager_forms(head, CASE.dtype), "compiled_a": first, "compiled_b": second}
    row = measure(CASE, head, forms, CONDITIONS)
    assert row["forms"]["compiled_a"] is not None  # it had begun
    assert row["forms"]["compiled_b"] is None
    assert row["left_out"]["compiled_b"].startswith(NotCompiled.__name__)


def test_the_grid_of_a_gpu():
    cases = [case for group, _ in score.groups(is_gpu=True, quick=False) for case in group]
    assert len(cases) == len(set(cases)) == 4 * 9 + 2
    assert {case.shape for case in cases} == set(SHAPES.values())
    assert score.groups(is_gpu=True, quick=False)[0] == ([score.HEADLINE], False)
    assert max(case.num_bytes for case in cases) == 37 * 64 * 1024 * 4096 * 2


@pytest.mark.parametrize("floor, passes", [(4.0, True), (7.0, False)])
def test_the_floor(floor, passes):
    record = {"failures": [], "rows": [{"speedup": {"eager": 6.0}}, {"speedup": {}}]}
    assert (score.verdict(record, floor) == 0) is passes
    assert score.verdict({**record, "failures": ["x"]}, 0.0) != 0


def test_gradients_are_those_of_autograd(head, layers):
    head.requires_grad_(True)
    factors = torch.linspace(-1, 2, 4, device=DEVICE)
    exact = train_step.exact_gradients(head, layers, factors)
    doubled = random_head(3, 64, DEVICE).double()
    (independent_scores(layers, doubled) * factors).sum().backward()
    expected = torch.stack([doubled.reward_weight.grad, doubled.gate_weight.grad])
    torch.testing.assert_close(exact[0], expected)
    for name, run in train_step.steps_of(head, layers, factors).items():
        for actual, gradient in zip(run(), exact, strict=True):
            assert relative_error(actual, gradient, least_scale=1e-30) < PEER_TOLERANCE, name


def test_a_wrong_running_score_is_noticed(monkeypatch, head, layers):
    step.check_running(layers, head, EagerHead(head))
    update = step.RunningScore.update

    def twice(self, states, active):
        update(self, states, torch.ones_like(active))

    monkeypatch.setattr(step.RunningScore, "update", twice)
    with pytest.raises(WrongAnswer, match="RunningScore"):
        step.check_running(layers, head, EagerHead(head))
