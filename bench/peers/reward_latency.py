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

    def random_ids(self, batch: int, model) -> Tensor:
        """`[N, T]` of prompt and response, without the padding's, which is 0."""
        shape = (batch, self.prompt_tokens + self.response_tokens)
        return torch.randint(1, model.config.vocab_size, shape, device=self.device)

    def random_states(self, *shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.bfloat16, device=self.device)

    def time(self, function: Callable[[], Any]) -> Timing:
        return time_wall(function, self.device, budget_ms=self.budget_ms, min_runs=MIN_RUNS)


@torch.no_grad()
def all_latencies(workload: Workload, failures: list[str], save: Callable[[dict], None]) -> None:
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


def reward_model_latency(model: RewardModel, workload: Workload) -> list[dict]:
    """One row per batch: the forward over prompt and response, without a cache or padding."""
    built = build_reward_model(model, workload.device, small=workload.small)
    rows = []
    for batch in workload.batches:
        input_ids = workload.random_ids(batch, built)
        forward = functools.partial(built, input_ids=input_ids, use_cache=False)
        _check_finite(model.name, forward().logits)
        times = {name: ms / batch for name, ms in workload.time(forward)._asdict().items()}
        rows.append({"name": model.name, "batch": batch, **times})
    return rows


def swift_latency(policy: str, workload: Workload) -> list[dict]:
    """One row per batch, with the ways of `reward_tables.WAYS` in milliseconds per candidate."""
    model = build_policy(policy, workload.device, small=workload.small)
    head = RewardHead(model.config.num_hidden_layers + 1, model.config.hidden_size)
    head = head.to(workload.device).requires_grad_(False)
    tokens, rows = workload.response_tokens, []
    for batch in workload.batches:
        head_ms = time_head(head, batch, workload).p50_ms
        update_ms = time_update(head, batch, workload).p50_ms
        step_ms = time_step(model, batch, workload).p50_ms
        second_forward_ms = time_second_forward(model, head, batch, workload).p50_ms
        rows.append(
            {
                "policy": policy,
                "batch": batch,
                "update_ms": update_ms,
                "step_ms": step_ms,
                "head": head_ms / batch,
                "generate_fed": update_ms * (tokens - 1) / batch,
                "generate_response": (update_ms * tokens + step_ms) / batch,
                "second_forward": second_forward_ms / batch,
            }
        )
        _free_memory()
    return rows


def time_head(head: RewardHead, batch: int, workload: Workload) -> Timing:
    """`score_candidates` on the states of all response tokens, already there."""
    shape = (head.num_layers, batch, workload.response_tokens, head.hidden_size)
    states = workload.random_states(*shape)  # [L, N, T, H]
    _check_scores(head, states)
    return workload.time(lambda: score_candidates(states, head))


def time_update(head: RewardHead, batch: int, workload: Workload) -> Timing:
    """One `RunningScore.update`, which `generate` calls once per token of the batch.

    Waited for, which `generate` does not do: the host's time and the device's one after the other.
    """
    shape = (CHECKED_TOKENS, head.num_layers, batch, 1, head.hidden_size)
    steps = [[layer.clone() for layer in step] for step in workload.random_states(*shape)]
    active = torch.ones(batch, dtype=torch.bool, device=workload.device)
    running = RunningScore(head, batch, workload.device)
    for step in steps:
        running.update(step, active)
    whole = [torch.cat(layer, dim=1) for layer in zip(*steps, strict=True)]  # L of [N, T, H]
    _check_close("RunningScore", running.scores(), score_candidates(whole, head))
    return workload.time(lambda: running.update(steps[0], active))


def time_step(model, batch: int, workload: Workload) -> Timing:
    """One more decode step, which feeds the last token of each candidate."""
    input_ids = workload.random_ids(batch, model)
    cache = find_cache(model(input_ids=input_ids[:, :-1], use_cache=True, logits_to_keep=1))

    def step() -> Tensor:
        outputs = model(input_ids=input_ids[:, -1:], **{CACHE_ARGUMENT: cache}, use_cache=True)
        cache.crop(-1)  # the next run feeds the same token again
        return outputs.logits

    _check_finite("a decode step", step())
    return workload.time(step)


def time_second_forward(model, head: RewardHead, batch: int, workload: Workload) -> Timing:
    """As the paper's code: the language model again, with all states, then the eager head."""
    input_ids = workload.random_ids(batch, model)
    eager = EagerHead(head).to(workload.device).requires_grad_(False)

    def response_states() -> list[Tensor]:  # L of [N, T, H]
        output = model(input_ids=input_ids, use_cache=False, output_hidden_states=True)
        return [state[:, workload.prompt_tokens :] for state in output.hidden_states]

    _check_scores(head, response_states())
    return workload.time(lambda: eager(response_states()))


def _check_scores(head: RewardHead, states: Tensor | list[Tensor]) -> None:
    expected = EagerHead(head).to(head.reward_weight.device)(states)
    _check_close("score_candidates", score_candidates(states, head), expected)


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
