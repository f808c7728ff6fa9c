"""Free scores: running reductions against a full forward over the finished text, in float64."""

import math

import pytest
import torch
from transformers import LogitsProcessor

from swift_bon.candidates.score_names import FREE_SCORES
from swift_bon.generation.confidence import (
    LARGEST_WINDOW,
    SMALLEST_WINDOW,
    RunningConfidence,
    default_window,
    token_confidence,
)
from swift_bon.generation.scored_decoding import ScoredDecoding
from tiny_models import BOS, EOS, PAD, tiny_model

INF = float("inf")
NO_IDS = torch.zeros(1, 0, dtype=torch.int64)
PROMPT = [BOS, 10, 20, 30]
ENDS = [EOS, *range(40, 64)]


class Distort(LogitsProcessor):
    """Writes into the logits it is given, as many processors people write do."""

    def __call__(self, input_ids, scores):
        scores *= 1.7
        scores[:, ::3] -= 2.0
        return scores


def expected_scores(logits: torch.Tensor, ids: torch.Tensor, window: int) -> dict[str, float]:
    """The definitions, from the logits `[T, V]` before each of the tokens `[T]`."""
    logprobs = logits.double().log_softmax(dim=-1)
    vocab = logits.shape[-1]
    chosen = logprobs.gather(1, ids[:, None])
    confidence = [-row.sort().values[-20:].mean().item() for row in logprobs]
    groups = [confidence[end - window : end] for end in range(window, len(ids) + 1)]
    means = [sum(group) / len(group) for group in groups or [confidence]]
    uniform = torch.full_like(logprobs, 1 / vocab)
    return {
        "mean_logprob": chosen.mean().item(),
        "sum_logprob": chosen.sum().item(),
        "perplexity": math.exp(-chosen.mean().item()),
        "entropy": -(logprobs.exp() * logprobs).sum(dim=-1).mean().item(),
        "self_certainty": (uniform * (uniform.log() - logprobs)).sum(dim=-1).mean().item(),
        "lowest_group_confidence": min(means),
        "tail_confidence": means[-1],
        "length": float(len(ids)),
    }


@pytest.mark.parametrize("processors", [[], [Distort()]], ids=["none", "in-place"])
@pytest.mark.parametrize("do_sample", [True, False], ids=["sample", "greedy"])
@pytest.mark.parametrize("window", [1, 3, 100], ids=["window-1", "window-3", "longer-than-any"])
def test_free_scores_are_those_of_a_full_forward(processors, do_sample, window):
    model = tiny_model("llama")
    result = model.generate(
        torch.tensor([PROMPT] * 6),
        custom_generate=ScoredDecoding(None, seeds=range(6), confidence_window=window),
        do_sample=do_sample,
        max_new_tokens=10,
        eos_token_id=ENDS,
        pad_token_id=PAD,
        temperature=0.8 if do_sample else None,
        top_k=20 if do_sample else None,
        logits_processor=processors,
    )
    assert result.scores is None
    assert result.token_scores is None
    assert tuple(result.free_scores) == FREE_SCORES
    lengths = result.num_tokens.tolist()
    if do_sample:
        assert min(lengths) < max(lengths)
    for row, length in enumerate(lengths):
        ids = result.output[row, : len(PROMPT) + length]
        ended = ids[len(PROMPT) :].tolist()
        assert ended[-1] in ENDS or length == 10
        assert not any(token in ENDS for token in ended[:-1])
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0, len(PROMPT) - 1 : -1]
        expected = expected_scores(logits, ids[len(PROMPT) :], window)
        for name, value in expected.items():
            assert result.free_scores[name][row].item() == pytest.approx(value, rel=1e-4), name


def test_the_mean_log_probability_alone():
    model = tiny_model("llama")
    settings = {"do_sample": True, "max_new_tokens": 6, "eos_token_id": EOS, "pad_token_id": PAD}
    results = [
        model.generate(torch.tensor([PROMPT] * 3), custom_generate=method, **settings)
        for method in (
            ScoredDecoding(None, seeds=range(3), with_logprobs=True),
            ScoredDecoding(None, seeds=range(3), confidence_window=2),
        )
    ]
    few, all_scores = (result.free_scores for result in results)
    assert few.keys() == {"mean_logprob"}
    assert torch.equal(few["mean_logprob"], all_scores["mean_logprob"])
    plain = ScoredDecoding(None, seeds=range(3))
    result = model.generate(torch.tensor([PROMPT] * 3), custom_generate=plain, **settings)
    assert result.free_scores == {}


def test_no_tokens():
    scores = RunningConfidence(2, torch.device("cpu"), 3).scores(torch.tensor([0, 0]))
    assert scores["mean_logprob"].tolist() == [0.0, 0.0]
    assert scores["perplexity"].tolist() == [1.0, 1.0]
    assert scores["lowest_group_confidence"].tolist() == [0.0, 0.0]


def test_a_candidate_that_has_finished_adds_nothing():
    running = RunningConfidence(2, torch.device("cpu"), 2)
    logits = torch.tensor([[0.0, 1.0, 3.0], [0.0, 0.5, 2.0]])
    first = token_confidence(logits, logits.logsumexp(dim=-1))
    assert running(NO_IDS, logits) is logits
    running.add(torch.tensor([1, 1]), torch.tensor([True, True]))
    bad = torch.tensor([[0.0, 1.0, 2.0], [-INF, float("nan"), 0.0]])
    running(NO_IDS, bad)
    running.add(torch.tensor([1, 0]), torch.tensor([True, False]))
    scores = running.scores(torch.tensor([2, 1]))
    for name in ("entropy", "self_certainty"):
        assert scores[name][1] == getattr(first, name)[1]
    for name in ("lowest_group_confidence", "tail_confidence"):
        assert scores[name][1] == first.confidence[1]
        assert scores[name].isfinite().all()
    assert scores["sum_logprob"][1] == logits[1].log_softmax(0)[1]


def test_the_lowest_group_may_lie_before_the_tail():
    """Confidences 3, 1, 1, 3 in groups of two: the lowest group has 1, the tail 2."""
    running = RunningConfidence(1, torch.device("cpu"), 2)
    for wanted in (3.0, 1.0, 1.0, 3.0):
        running(NO_IDS, torch.tensor([[_logit_of(wanted), 0.0]]))
        running.add(torch.tensor([0]), torch.tensor([True]))
    scores = running.scores(torch.tensor([4]))
    assert scores["lowest_group_confidence"].item() == pytest.approx(1.0, abs=1e-4)
    assert scores["tail_confidence"].item() == pytest.approx(2.0, abs=1e-4)


def _logit_of(confidence: float) -> float:
    """x with minus the mean log-probability of softmax([x, 0]) equal to `confidence`."""
    low, high = 0.0, 50.0
    for _ in range(60):
        x = (low + high) / 2
        low, high = (x, high) if math.log1p(math.exp(-x)) + x / 2 < confidence else (low, x)
    return low


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tokens_left_out_have_no_share_in_the_entropy(dtype):
    logits = torch.tensor([[0.0, 0.0, -INF, -INF]], dtype=dtype)
    measures = token_confidence(logits, logits.float().logsumexp(dim=-1))
    assert measures.entropy.item() == pytest.approx(math.log(2))
    assert measures.self_certainty.item() == INF  # the divergence is infinite indeed


def test_a_uniform_distribution_is_the_least_sure():
    logits = torch.full((1, 50), 2.5)
    measures = token_confidence(logits, logits.logsumexp(dim=-1))
    assert measures.entropy.item() == pytest.approx(math.log(50))
    assert measures.self_certainty.item() == pytest.approx(0.0, abs=1e-5)
    assert measures.confidence.item() == pytest.approx(math.log(50))


@pytest.mark.parametrize(
    ("max_new_tokens", "window"),
    [(1, SMALLEST_WINDOW), (24, SMALLEST_WINDOW), (256, 32), (65_536, LARGEST_WINDOW)],
)
def test_default_window(max_new_tokens, window):
    assert default_window(max_new_tokens) == window
