"""Milliseconds per candidate of the reward models and of SWIFT, on random weights in bfloat16."""

import functools
import gc
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from measuring.failures import RUN_ERRORS, note_failure, why
from measuring.oracle import WrongAnswer
from measuring.timing import Timing, time_wall
from peers.baselines import POLICIES, REWARD_MODELS, RewardModel, build_policy, build_reward_model
from peers.eager_head import EagerHead
from swift_bon.models.prefix import CACHE_ARGUMENT, find_cache
from swift_kernels import RewardHead, RunningScore, score_candidates

MIN_RUNS = 5
CHECKED_TOKENS = 4


class Workload(NamedTuple):
    """What is scored, and how long a measurement may take."""

    device: torch.device
    prompt_tokens: int
    response_tokens: int
    batches: tuple[int, ...]  # candidates at a time
    budget_ms: float
    small: bool = False  # models of the same kinds, too small to say anything about speed


@torch.no_grad()
def all_latencies(
    workload: Workload, failures: list[str], save: Callable[[dict], None] = lambda latency: None
) -> dict:
    """SWIFT's policies, then the reward models; `save` gets what is done after each of them.

    A model that is wrong or does not run is in `failures`, and has no rows.
    """
    torch.manual_seed(0)
    latency = {"dtype": "bfloat16", "batches": list(workload.batches)}
    latency |= {"reward_models": [], "swift": []}
    jobs = [("swift", name, functools.partial(swift_latency, name)) for name in POLICIES]
    jobs += [
        ("reward_models", model.name, functools.partial(reward_model_latency, model))
        for model in REWARD_MODELS
    ]
    for side, name, measure in tqdm(jobs, unit="model", leave=False):
        try:
            latency[side] += measure(workload)
        except WrongAnswer as error:
            note_failure(f"{name}: {error}", failures)
        except RUN_ERRORS as error:
            note_failure(f"{name}: {why(error)}", failures)
        save(latency)
        _free_memory()
    return latency


def reward_model_latency(model: RewardModel, workload: Workload) -> list[dict]:
    """One row per batch: the forward over prompt and response, without a cache or padding."""
    built = build_reward_model(model, workload.device, small=workload.small)
    num_tokens = workload.prompt_tokens + workload.response_tokens
    rows = []
    for batch in workload.batches:
        input_ids = _random_ids(batch, num_tokens, built.config.vocab_size, workload.device)
        _check_finite(model.name, built(input_ids=input_ids, use_cache=False).logits)
        timing = _time(lambda ids=input_ids: built(input_ids=ids, use_cache=False), workload)
        rows.append({"name": model.name, "batch": batch, **_per_candidate(timing, batch)})
    return rows


def swift_latency(policy: str, workload: Workload) -> list[dict]:
    """One row per batch, with the ways of `reward_tables.WAYS` in milliseconds per candidate."""
    model = build_policy(policy, workload.device, small=workload.small)
    head = RewardHead(model.config.num_hidden_layers + 1, model.config.hidden_size)
    head = head.to(workload.device).requires_grad_(False)
    rows = []
    for batch in workload.batches:
        head_alone = time_head(head, batch, workload)
        update = time_update(head, batch, workload)
        step = time_step(model, batch, workload)
        second_forward = time_second_forward(model, head, batch, workload)
        tokens = workload.response_tokens
        rows.append(
            {
                "policy": policy,
                "batch": batch,
                "update_ms": update.p50_ms,
                "step_ms": step.p50_ms,
                "head": head_alone.p50_ms / batch,
                "generate_fed": update.p50_ms * (tokens - 1) / batch,
                "generate_response": (update.p50_ms * tokens + step.p50_ms) / batch,
                "second_forward": second_forward.p50_ms / batch,
            }
        )
        _free_memory()
    return rows


def time_head(head: RewardHead, batch: int, workload: Workload) -> Timing:
    """`score_candidates` on the states of all response tokens, already there."""
    shape = (head.num_layers, batch, workload.response_tokens, head.hidden_size)
    states = torch.randn(shape, dtype=torch.bfloat16, device=workload.device)  # [L, N, T, H]
    expected = EagerHead(head).to(workload.device)(states)
    _check_close("score_candidates", score_candidates(states, head), expected)
    del expected
    return _time(lambda: score_candidates(states, head), workload)


def time_update(head: RewardHead, batch: int, workload: Workload) -> Timing:
    """One `RunningScore.update`, which `generate` calls once per token of the batch.

    Waited for, which `generate` does not do: the host's time and the device's one after the other.
    """
    shape = (batch, 1, head.hidden_size)
    steps = [
        [
            torch.randn(shape, dtype=torch.bfloat16, device=workload.device)
            for _ in range(head.num_layers)
        ]
        for _ in range(CHECKED_TOKENS)
    ]
    active = torch.ones(batch, dtype=torch.bool, device=workload.device)
    running = RunningScore(head, batch, workload.device)
    for step in steps:
        running.update(step, active)
    whole = [torch.cat(layer, dim=1) for layer in zip(*steps, strict=True)]  # L of [N, T, H]
    _check_close("RunningScore", running.scores(), score_candidates(whole, head))
    return _time(lambda: running.update(steps[0], active), workload)


def time_step(model, batch: int, workload: Workload) -> Timing:
    """One more decode step, which feeds the last token of each candidate."""
    num_tokens = workload.prompt_tokens + workload.response_tokens
    input_ids = _random_ids(batch, num_tokens, model.config.vocab_size, workload.device)
    outputs = model(input_ids=input_ids[:, :-1], use_cache=True, logits_to_keep=1)
    cache = find_cache(outputs)

    def step() -> Tensor:
        outputs = model(input_ids=input_ids[:, -1:], **{CACHE_ARGUMENT: cache}, use_cache=True)
        cache.crop(-1)  # the next run feeds the same token again
        return outputs.logits

    _check_finite("a decode step", step())
    return _time(step, workload)


def time_second_forward(model, head: RewardHead, batch: int, workload: Workload) -> Timing:
    """As the paper's code: the language model again, with all states, then the eager head."""
    num_tokens = workload.prompt_tokens + workload.response_tokens
    input_ids = _random_ids(batch, num_tokens, model.config.vocab_size, workload.device)
    eager = EagerHead(head).to(workload.device).requires_grad_(False)

    def response_states() -> list[Tensor]:
        output = model(input_ids=input_ids, use_cache=False, output_hidden_states=True)
        return [state[:, workload.prompt_tokens :] for state in output.hidden_states]

    states = response_states()  # L of [N, T, H]
    _check_close("score_candidates", score_candidates(states, head), eager(states))
    del states
    return _time(lambda: eager(response_states()), workload)


def _time(function: Callable[[], Any], workload: Workload) -> Timing:
    return time_wall(function, workload.device, budget_ms=workload.budget_ms, min_runs=MIN_RUNS)


def _per_candidate(timing: Timing, batch: int) -> dict[str, float]:
    return {name: milliseconds / batch for name, milliseconds in timing._asdict().items()}


def _random_ids(batch: int, num_tokens: int, vocab_size: int, device: torch.device) -> Tensor:
    """Token ids without the padding's, which is 0."""
    return torch.randint(1, vocab_size, (batch, num_tokens), device=device)


def _check_finite(name: str, values: Tensor) -> None:
    if not values.isfinite().all():
        raise WrongAnswer(f"{name} gives NaN or infinity, so its time means nothing")


def _check_close(name: str, actual: Tensor, expected: Tensor) -> None:
    if not torch.allclose(actual, expected, atol=1e-5, rtol=1e-4):
        raise WrongAnswer(f"{name} gives {actual.tolist()}, the eager head {expected.tolist()}")


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
