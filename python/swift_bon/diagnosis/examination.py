"""Proof on the user's own model that what is scored is right."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tqdm import tqdm

from swift_bon.diagnosis.check_batches import (
    check_batches,
    check_prefill,
    check_threads,
)
from swift_bon.diagnosis.check_cost import check_cost
from swift_bon.diagnosis.check_model import (
    check_accepted,
    check_head,
    check_input,
    check_prompts,
    check_repeats,
)
from swift_bon.diagnosis.check_states import check_features, check_scores, check_states
from swift_bon.diagnosis.check_text import check_cache, check_text
from swift_bon.diagnosis.findings import Check, DoctorReport
from swift_bon.diagnosis.patient import PROMPTS, Patient
from swift_kernels import RewardHead
from swift_kernels.checks import check_count


class Step(NamedTuple):
    name: str
    run: Callable[[Patient], Check]
    needs: tuple[str, ...] = ()  # without these it would say nothing


READY = ("prompts", "accepted", "repeats")
STEPS = (
    Step("prompts", check_prompts),
    Step("head", check_head),
    Step("accepted", check_accepted, ("prompts",)),
    Step("input", check_input, ("prompts", "accepted")),
    Step("repeats", check_repeats, ("prompts", "accepted")),
    Step("states", check_states, ("prompts", "accepted")),
    Step("cache", check_cache, READY),
    Step("scores", check_scores, READY),
    Step("features", check_features, READY),
    Step("text", check_text, READY),
    Step("batches", check_batches, READY),
    Step("prefill", check_prefill, READY),
    Step("threads", check_threads, READY),
    Step("cost", check_cost, ("prompts", "accepted")),
)


def doctor(
    model: Any,
    tokenizer: Any,
    head: RewardHead | None = None,
    *,
    prompts: Sequence[str] | None = None,
    num_return_sequences: int = 4,
    max_new_tokens: int = 16,
    seed: int = 0,
    show_progress: bool = True,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    **generate_kwargs: Any,
) -> DoctorReport:
    """Prove on this model that texts, scores and features are right, or say what is not.

    Run it first on a model, an adapter, a dtype or a cache that is new to you. What it proves it
    proves with code of its own: plain forwards of one text each, without padding and cache, scored
    by the formula in float64; plain `generate`; and what one rounding error at the model's input
    does to both, which is how far off rounding may be.

    Args:
        model, tokenizer: as for `best_of_n`; adapters and compiled models too.
        head: None takes a random one of the model's shape.
        prompts: user messages, at best of unequal length; None takes three.
        num_return_sequences: N, candidates per prompt.
        max_new_tokens: of each.
        seed: of the random streams, and of the random head.
        show_progress: a bar on a terminal.
        chat_template_kwargs: what else the chat template reads, as for `best_of_n`.
        **generate_kwargs: how you sample: `temperature`, `cache_implementation`...

    Returns:
        a `DoctorReport`. An error of the model makes the check red in which it was raised.

    Raises:
        TypeError, ValueError: a bad argument.

    >>> from swift_bon import doctor, load_model
    >>> model, tokenizer = load_model()
    >>> report = doctor(model, tokenizer, num_return_sequences=2, max_new_tokens=4)
    >>> report.passed
    True
    """
    prompts = _check_prompts(PROMPTS if prompts is None else prompts)
    check_count(num_return_sequences, "num_return_sequences")
    check_count(max_new_tokens, "max_new_tokens")
    if "do_sample" in generate_kwargs:
        raise ValueError("do_sample is set by doctor itself, which tries both; leave it out")
    options = {"max_new_tokens": max_new_tokens, **generate_kwargs}
    patient = Patient(
        model,
        tokenizer,
        head,
        prompts,
        num_return_sequences,
        seed,
        chat_template_kwargs or {},
        options,
    )
    checks: list[Check] = []
    for step in tqdm(STEPS, desc="doctor", unit="check", disable=None if show_progress else True):
        checks.append(_examine(step, patient, checks))
    return DoctorReport(patient.name, str(getattr(model, "dtype", "")), tuple(checks))


def _check_prompts(prompts: Sequence[str]) -> Sequence[str]:
    if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts):
        raise TypeError("prompts is not a list of strings, which is expected: user messages")
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise ValueError(f"prompts is {list(prompts)!r}, expected at least one, none of it empty")
    return prompts


def _examine(step: Step, patient: Patient, before: Sequence[Check]) -> Check:
    """The check of a step; red where it raised, skipped where it would say nothing."""
    missing = [check.name for check in before if check.name in step.needs and not _is_fine(check)]
    if missing:
        return Check(step.name, "skipped", f"says nothing where {missing[0]!r} has failed")
    try:
        return step.run(patient)
    except Exception as error:  # a doctor survives its patient, whatever that raises
        return Check(
            step.name,
            "failed",
            f"{type(error).__name__}: {error}",
            advice="if plain generate works on this model, report it with this line",
        )


def _is_fine(check: Check) -> bool:
    return check.status == "passed"
