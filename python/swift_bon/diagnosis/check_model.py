"""Is the model one that can be scored at all: its prompts, its head, and itself a second time."""

import warnings
from typing import Any

import torch

from swift_bon.diagnosis.findings import Check
from swift_bon.diagnosis.own_forward import own_states, relative_distance, uncompiled
from swift_bon.diagnosis.patient import Patient
from swift_bon.models.identity import UnprovenModelWarning, check_head_fits, head_fit

REFUSALS = (TypeError, ValueError, NotImplementedError)


def check_prompts(patient: Patient) -> Check:
    """The chat template writes something, and the prompts differ in length."""
    lengths = [len(ids) for ids in patient.prompt_ids]
    if not all(lengths):
        return Check(
            "prompts",
            "failed",
            f"prompt {lengths.index(0)} is empty once the chat template has written it",
            advice="set tokenizer.chat_template to the template of the model",
        )
    words = f"{len(lengths)} prompts of {', '.join(map(str, lengths))} tokens"
    if len(set(lengths)) == 1:
        words += ", all of one length: what padding does is not seen, give others"
    return Check("prompts", "passed", words)


def check_head(patient: Patient) -> Check:
    """The head was made for this model."""
    if patient.given_head is None:
        words = "no head was given; a random one of the model's shape stands in for it"
        return Check("head", "skipped", words)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnprovenModelWarning)  # said below
            check_head_fits(patient.given_head, patient.model)
    except REFUSALS as error:
        patient.uses_given_head = False  # the other checks are of the model
        return Check(
            "head",
            "failed",
            f"the head does not fit, the other checks have a random one: {error}",
            advice="train a head for this model, or load the model that this one was trained for",
        )
    verdict = head_fit(patient.given_head, patient.model)
    words = f"trained for {patient.given_head.base_model!r}, and the model is: {verdict.fit}"
    return Check("head", "passed", f"{words}; {verdict.words}" if verdict.words else words)


def check_accepted(patient: Patient) -> Check:
    """`best_of_n` takes the model and these options."""
    try:
        rows = patient.together
    except REFUSALS as error:
        return Check(
            "accepted",
            "failed",
            f"refused: {error}",
            advice="best-of-N has nothing to say about this model until what it names is changed",
        )
    words = f"best_of_n wrote and scored {sum(map(len, rows))} candidates in one batch"
    return Check("accepted", "passed", words)


def check_input(patient: Patient) -> Check:
    """`best_of_n` feeds the model what the chat template writes."""
    fed: list[int] = []

    def note(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        fed.extend((args[0] if args else kwargs["input"]).flatten().tolist())

    unlike, first = 0, ""
    for number, (prompt, ids) in enumerate(zip(patient.prompts, patient.prompt_ids, strict=True)):
        fed.clear()
        embedding = uncompiled(patient.model).get_input_embeddings()
        handle = embedding.register_forward_pre_hook(note, with_kwargs=True)
        try:
            patient.sample(1, 1, prompts=[prompt], max_new_tokens=1)
        finally:
            handle.remove()
        if fed[: len(ids)] != ids:
            unlike += 1
            text = patient.tokenizer.decode(fed[: len(ids)])
            first = first or f"; prompt {number} is fed as {text!r}"
    words = "token ids that the model is fed against those of the chat template"
    if patient.tokenizer.pad_token_id != patient.pad_id:
        words += f" (the tokenizer has no pad token that the model knows, {patient.pad_id} pads)"
    words += f"{first}; how many prompts differ"
    if not unlike:
        return Check("input", "passed", words, 0, 0)
    advice = "look at tokenizer.chat_template: candidates, features and scores are of other prompts"
    return Check("input", "failed", words, unlike, 0, advice)


def check_repeats(patient: Patient) -> Check:
    """The same text gives the same states again."""
    text = max(patient.prompt_ids, key=len)
    first, second = (torch.stack(own_states(patient.model, text)) for _ in range(2))
    measured = relative_distance(second, first)
    allowed = 4 * torch.finfo(first.dtype).eps
    words = "the same forward twice: largest relative distance of a hidden state"
    if measured <= allowed:
        return Check("repeats", "passed", words, measured, allowed)
    advice = "the model draws random numbers or keeps something between calls"
    if any(module.training for module in uncompiled(patient.model).modules()):
        advice = "the model is in training mode, where dropout is on; call model.eval()"
    return Check("repeats", "failed", words, measured, allowed, advice)
