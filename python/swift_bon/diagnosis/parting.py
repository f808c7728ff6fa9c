"""Where two texts of one random stream part: a near tie that rounding decides, or a mistake."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swift_bon.diagnosis.own_forward import rounding_error
from swift_bon.diagnosis.patient import Patient
from swift_bon.generation.results import Candidate
from swift_bon.seeds import stream_seed

DRAWN_AT_ONCE = 64  # numbers of a stream, as the samples of all versions were drawn
EPS = torch.finfo(torch.float32).eps


def first_difference(left: Sequence[int], right: Sequence[int]) -> int | None:
    """The first position at which they differ, which may be the end of one; None if nowhere."""
    if list(left) == list(right):
        return None
    pairs = enumerate(zip(left, right, strict=False))
    shorter = min(len(left), len(right))
    return next((index for index, (a, b) in pairs if a != b), shorter)


def is_near_tie(
    patient: Patient,
    prompt: int,
    left: Sequence[int],
    right: Sequence[int],
    candidate: int | None = None,
) -> bool:
    """Whether rounding may have chosen either token where two texts part.

    Args:
        prompt: its number.
        left, right: token ids of two responses.
        candidate: its number, whose random stream sampled both; None: both were greedy.
    """
    position = first_difference(left, right)
    if position is None:
        return True
    if position >= min(len(left), len(right)):
        return False  # one goes on where the other ends
    context = [*patient.prompt_ids[prompt], *left[:position]]
    tokens = (left[position], right[position])
    do_sample = candidate is not None
    plain = _next_scores(patient, context, do_sample)
    with rounding_error(patient.model, seed=position):
        moved = _next_scores(patient, context, do_sample)
    if candidate is None:
        largest = plain.max()
        noise = (moved - plain)[plain.isfinite() & moved.isfinite()].abs().max()
        room = patient.room * noise + 4 * EPS * largest.abs()
        return all(bool(largest - plain[token] <= room) for token in tokens)
    number = _uniform(stream_seed((patient.seed, prompt), candidate), position)
    chances, ends = plain.softmax(dim=0), plain.softmax(dim=0).cumsum(dim=0)
    noise = (moved.softmax(dim=0).cumsum(dim=0) - ends).abs().max()
    room = patient.room * noise + 4 * EPS * len(plain) ** 0.5
    return all(
        bool(ends[token] - chances[token] - room <= number <= ends[token] + room)
        for token in tokens
    )


def _next_scores(patient: Patient, context: Sequence[int], do_sample: bool) -> Tensor:
    """float64 `[V]`: what plain `generate` would choose the next token from."""
    changes = {"max_new_tokens": 1, "do_sample": do_sample, "output_scores": True}
    output = patient.generate([context], return_dict_in_generate=True, **changes)
    return output.scores[0][0].double().cpu()


def _uniform(seed: int, position: int) -> float:
    """The number that chose this token of a stream: between 0 and 1."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    for _ in range(position // DRAWN_AT_ONCE + 1):
        numbers = torch.rand(DRAWN_AT_ONCE, generator=generator, dtype=torch.float64, device="cpu")
    return float(numbers[position % DRAWN_AT_ONCE])


def compare_candidates(
    patient: Patient, left: list[list[Candidate]], right: list[list[Candidate]]
) -> tuple[int, int, str]:
    """`(same, near ties, what first differs)` of candidates from the same random streams.

    The last is empty where nothing differs by more than rounding. As many of each prompt are
    compared as both sides have.
    """
    same, ties, first = 0, 0, ""
    for prompt, (row, other) in enumerate(zip(left, right, strict=True)):
        for number, (a, b) in enumerate(zip(row, other, strict=False)):
            where = f"candidate {number} of prompt {prompt}"
            if a.token_ids != b.token_ids:
                if is_near_tie(patient, prompt, a.token_ids, b.token_ids, number):
                    ties += 1
                else:
                    first = first or f"{where} says {a.text!r} and {b.text!r}"
            elif a.score == b.score or abs(a.score - b.score) <= patient.allowed_score_error:
                same += 1
            else:
                first = first or f"{where} scores {a.score:.6g} and {b.score:.6g}"
    return same, ties, first
