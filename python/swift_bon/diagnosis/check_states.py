"""Are the states that are read those of the model: in generation, and where heads are trained."""

from typing import Any

import torch
from torch import Tensor

from swift_bon.diagnosis.findings import Check
from swift_bon.diagnosis.own_forward import relative_distance
from swift_bon.diagnosis.patient import Patient
from swift_bon.models.capture import Capture
from swift_bon.models.forward import Response, num_scored_tokens, response_states
from swift_bon.models.wrappers import bare_model

STEPS = 4  # tokens that are generated with both ways to see the states open


def check_states(patient: Patient) -> Check:
    """What is captured inside of `generate`, against what the same pass returns, bit for bit."""
    captured: list[tuple[Tensor, ...]] = []
    model: Any = bare_model(patient.model)
    with Capture(model, captured.append):
        output = patient.generate(
            patient.prompt_ids,
            max_new_tokens=STEPS,
            min_new_tokens=STEPS,
            do_sample=False,
            output_hidden_states=True,
            return_dict_in_generate=True,
        )
    expected = output.hidden_states  # by step, by layer
    advice = (
        "the blocks are fed something else than the model reports; load the class that "
        "transformers has for this model, without hooks and code that change its blocks"
    )
    if len(captured) != len(expected):
        words = f"{len(captured)} forwards were captured of {len(expected)} that generate made"
        return Check("states", "failed", words, len(captured), len(expected), advice)
    num_read = [len(ids) for ids in patient.prompt_ids]
    lengths = torch.tensor(num_read, dtype=torch.int64, device="cpu")[:, None]
    unlike = 0
    for states, others in zip(captured, expected, strict=True):
        for state, other in zip(states, others, strict=True):
            places = torch.arange(
                state.shape[1], 0, -1, dtype=torch.int64, device="cpu"
            )  # from the end
            is_padding = (places > lengths) & (places <= max(num_read))
            kept = ~is_padding.to(state.device)
            unlike += not torch.equal(state[kept], other[kept])
    words = (
        f"{len(expected)} steps of generate in a padded batch, {len(expected[0])} hidden states "
        "each: how many captured ones are not those of output_hidden_states, bit for bit"
    )
    if not unlike:
        return Check("states", "passed", words, 0, 0)
    return Check("states", "failed", words, unlike, 0, advice)


def check_features(patient: Patient) -> Check:
    """What heads are trained on, against the plain forward of each candidate."""
    numbers = [(p, n) for p, row in enumerate(patient.together) for n in range(len(row))]
    responses = []
    for p, n in numbers:
        ids = patient.together[p][n].token_ids
        responses.append(Response(p, ids, num_scored_tokens(len(ids), patient.head.scored_tokens)))
    measured, worst = 0.0, ""
    model: Any = bare_model(patient.model)
    for batch in response_states(
        model,
        patient.prompt_ids,
        responses,
        layers=range(patient.head.num_layers),
        pad_id=patient.pad_id,
        batch_size=len(responses),
    ):
        lengths = [responses[index].num_scored for index in batch.responses]
        states = torch.stack([layer.cpu() for layer in batch.layers]).split(lengths, dim=1)
        for index, state in zip(batch.responses, states, strict=True):
            p, n = numbers[index]
            distance = relative_distance(state, patient.readings[p][n].states)
            if not distance <= measured:
                measured, worst = distance, f"; worst: candidate {n} of prompt {p}"
    allowed = patient.allowed_state_error
    words = (
        "states that heads are trained on, in a padded batch, against a plain forward of each "
        f"candidate: largest relative distance{worst}"
    )
    if measured <= allowed:
        return Check("features", "passed", words, measured, allowed)
    advice = "do not train a head on this model as it is: its features are those of other texts"
    return Check("features", "failed", words, measured, allowed, advice)


def check_scores(patient: Patient) -> Check:
    """Scores of the pass that wrote the text, against the formula in float64."""
    measured, worst, count = 0.0, "", 0
    for p, (row, readings) in enumerate(zip(patient.together, patient.readings, strict=True)):
        for n, (candidate, reading) in enumerate(zip(row, readings, strict=True)):
            count += 1
            if candidate.score == reading.score:  # -inf where nothing is scored
                continue
            error = abs(candidate.score - reading.score)
            if not error <= measured:
                measured = error
                worst = (
                    f"; worst: candidate {n} of prompt {p}, {candidate.score:.6g} for "
                    f"{reading.score:.6g}"
                )
    allowed = patient.allowed_score_error
    words = (
        f"{count} scores of the pass that wrote the texts against a plain forward of each, in "
        f"float64: largest error{worst}"
    )
    if measured <= allowed:
        return Check("scores", "passed", words, measured, allowed)
    advice = (
        "the scores are not those of the texts; the checks prefill and batches below say whether "
        "sharing or padding is at fault: with batch_size=1 there is neither"
    )
    return Check("scores", "failed", words, measured, allowed, advice)
