"""The benchmarks' own correctness: the peers compute the score, and a wrong answer is noticed."""

import functools

import pytest
import torch
from triton.runtime.errors import OutOfResources

import score
import step
import train_step
from measuring.bandwidth import Bandwidth
from measuring.oracle import (
    PEER_TOLERANCE,
    SHAPES,
    ModelShape,
    WrongAnswer,
    check_accuracy,
    exact_scores,
    left_padding,
    random_head,
    relative_error,
)
from peers import eager_head, running_forms, score_measure
from peers.eager_head import EagerHead, PerLayerHead, SplitHead, float_matmul, float_sum
from peers.running_forms import check_growth
from peers.score_forms import OURS, Case, CompileBudget, CompiledForm, NotCompiled, eager_forms
from peers.score_measure import Conditions, measure
from reference_inputs import exact_scores as independent_scores

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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_peers_compute_the_score(monkeypatch, head, mask, dtype):
    if DEVICE.type == "cpu":  # `out_dtype` exists for CUDA only
        monkeypatch.setattr(eager_head.torch, "mm", _mm_with_out_dtype)
    layers = CASE._replace(dtype=dtype).layers(DEVICE)
    exact = exact_scores(layers, head, mask)
    per_layer = [PerLayerHead(head, project) for project in (float_matmul, float_sum)]
    for form in (EagerHead(head), *per_layer, SplitHead(head, dtype)):
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
    row = measure(CASE, head, eager_forms(head, CASE.dtype), CONDITIONS, [], mask)
    ours = row["forms"][OURS]
    scored_bytes = 3 * 4 * 8 * 64 * 2 * (1.0 if mask is None else 0.5)
    assert row["scored_percent"] == (100.0 if mask is None else 50.0)
    assert ours["gb_per_s"] == pytest.approx(scored_bytes / ours["p50_ms"] / 1e6, abs=0.01)
    assert set(row["speedup"]) >= {"eager", "per_layer"}
    assert row["left_out"] == {}


def wrong(form):
    return lambda *inputs: form(*inputs) + 0.01


def test_ours_is_not_timed_when_wrong(monkeypatch, head):
    monkeypatch.setattr(score_measure, "sample_in_turns", None)
    forms = eager_forms(head, CASE.dtype)
    forms[OURS] = wrong(forms[OURS])
    with pytest.raises(WrongAnswer, match=OURS):
        measure(CASE, head, forms, CONDITIONS, [])


@pytest.mark.parametrize("name", ["eager", "per_layer"])
def test_a_wrong_peer_is_left_out_and_noted(head, name):
    forms, failures = eager_forms(head, CASE.dtype), []
    forms[name] = wrong(forms[name])
    row = measure(CASE, head, forms, CONDITIONS, failures)
    assert row["forms"][name] is None and name not in row["speedup"]
    assert row["left_out"][name].startswith("wrong answer: ")
    assert row["forms"][OURS]["p50_ms"] > 0
    assert len(failures) == 1 and f"tiny, bfloat16, 4 x 8: {name}: error" in failures[0]


def test_a_peer_that_does_not_run_is_left_out(head):
    def too_large(_):
        raise torch.OutOfMemoryError("out of memory\nand more")

    def too_many_registers(_):
        raise OutOfResources(99, 88, "registers")

    failures = []
    forms = {**eager_forms(head, CASE.dtype), "eager": too_large, "per_layer": too_many_registers}
    row = measure(CASE, head, forms, CONDITIONS, failures)
    assert row["forms"]["eager"] is None and failures == []
    assert row["left_out"]["eager"] == "OutOfMemoryError: out of memory"
    assert row["left_out"]["per_layer"].startswith("OutOfResources: out of resource")
    with pytest.raises(torch.OutOfMemoryError):
        measure(CASE, head, {OURS: too_large}, CONDITIONS, [])


def test_compiling_stops_when_its_time_is_up(head):
    budget = CompileBudget(1e-9)
    first, second = (CompiledForm(PerLayerHead(head), budget) for _ in range(2))
    forms = {**eager_forms(head, CASE.dtype), "compiled_a": first, "compiled_b": second}
    row = measure(CASE, head, forms, CONDITIONS, [])
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
    record = {"rows": [{"speedup": {"eager": 6.0}}, {"speedup": {}}]}
    assert (score.verdict(record, floor) == 0) is passes


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


@pytest.mark.parametrize("field", ["scores", "rewards", "gates"])
def test_wrong_values_of_tokens_are_noticed(monkeypatch, field):
    assert score.measure_token_scores(CASE, CONDITIONS)["p50_ms"] > 0
    right = score.score_candidates

    def off(*args, **kwargs):
        values = right(*args, **kwargs)
        return values._replace(**{field: getattr(values, field) + 0.01})

    monkeypatch.setattr(score, "score_candidates", off)
    with pytest.raises(WrongAnswer, match=f"{field} of tokens"):
        score.measure_token_scores(CASE, CONDITIONS)


def test_a_wrong_running_score_is_noticed(monkeypatch, head, layers):
    running_forms.check_running(layers, head, EagerHead(head))
    update = running_forms.RunningScore.update

    def all_active(self, states, active):
        update(self, states, torch.ones_like(active))

    monkeypatch.setattr(running_forms.RunningScore, "update", all_active)
    with pytest.raises(WrongAnswer, match="RunningScore"):
        running_forms.check_running(layers, head, EagerHead(head))


@pytest.mark.parametrize("updates", [0, 2, 4])
def test_a_replay_that_adds_nothing_or_too_much_is_noticed(head, layers, updates):
    steps = [layer[:, :1] for layer in layers]
    active = torch.ones(4, dtype=torch.bool, device=DEVICE)
    eager = running_forms.EagerRunning(EagerHead(head).requires_grad_(False), 4, DEVICE)
    for running in (step.RunningScore(head, 4, DEVICE), eager):

        def run(times, running=running):
            for _ in range(times):
                running.update(steps, active)

        expected = (3, steps, head)
        check_growth("name", running, functools.partial(run, 3), *expected)
        with pytest.raises(WrongAnswer, match="name: 3 updates"):
            check_growth("name", running, functools.partial(run, updates), *expected)
