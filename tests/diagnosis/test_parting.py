"""Where two texts part: a near tie, or a mistake."""

from types import SimpleNamespace

import pytest
import torch

from swift_bon.diagnosis import parting
from swift_bon.diagnosis.patient import Patient
from swift_bon.generation.results import Candidate
from swift_bon.seeds import stream_seed
from tiny_models import tiny_model, tiny_tokenizer

LENGTH = 67  # of texts that need more numbers of a stream than are drawn at once
SEED = 5


def patient_of(model, kind=Patient) -> Patient:
    prompts = ["hello", "a longer one"]
    options = {"max_new_tokens": LENGTH}
    return kind(model, tiny_tokenizer(), None, prompts, 2, SEED, {}, options)


class Fixed(Patient):
    """The next token has these chances, whatever stands before it."""

    chances: tuple[float, ...]
    room = 8

    def generate(self, prompts, **changes):
        scores = torch.tensor([self.chances], dtype=torch.float64, device="cpu").log()
        return SimpleNamespace(scores=[scores])


@pytest.mark.parametrize(
    ("left", "right", "position"),
    [([], [], None), ([4, 5], [4, 5], None), ([4, 5], [4, 6], 1), ([4], [4, 5], 1), ([4], [], 0)],
    ids=str,
)
def test_first_difference(left, right, position):
    assert parting.first_difference(left, right) == position


@pytest.mark.parametrize(
    ("share", "is_tie"), [(0.0, True), (1e-7, True), (0.01, False), (0.5, False)], ids=str
)
def test_greedy_texts_part_at_a_tie_where_the_logits_are_close(share, is_tie):
    model = tiny_model("llama")
    patient = patient_of(model)
    scores = parting._next_scores(patient, [*patient.prompt_ids[0], 9], do_sample=False)
    best, other = int(scores.argmax()), int(scores.argmin())
    with torch.no_grad():  # the logit of the other: that of the best one, less a share
        weight = model.get_output_embeddings().weight
        weight[other] = weight[best] * (1 - share)
    for left, right in ((best, other), (other, best)):
        assert parting.is_near_tie(patient, 0, [9, left, 3], [9, right]) == is_tie


@pytest.mark.parametrize(
    ("beyond", "is_tie"), [(1e-9, True), (-1e-9, True), (1e-3, False), (-1e-3, False)], ids=str
)
@pytest.mark.parametrize("position", [0, 65])
def test_samples_part_at_a_tie_where_their_number_is_on_the_border(beyond, is_tie, position):
    patient = patient_of(tiny_model("llama"), Fixed)
    number = parting._uniform(stream_seed((SEED, 1), 3), position)
    patient.chances = (number + beyond, 1 - number - beyond)
    left = [7] * position
    assert parting.is_near_tie(patient, 1, [*left, 0], [*left, 1], 3) == is_tie


def test_where_one_text_ends_and_another_goes_on_there_is_no_tie():
    patient = patient_of(tiny_model("llama"))
    assert not parting.is_near_tie(patient, 0, [4, 5], [4, 5, 6])
    assert parting.is_near_tie(patient, 0, [4, 5], [4, 5])


def test_the_numbers_are_those_that_chose_the_tokens():
    model = tiny_model("llama")
    model.generation_config.eos_token_id = None  # texts of full length
    patient = patient_of(model)
    ids = patient.one_by_one[1][1].token_ids
    assert len(ids) == LENGTH
    for position in (0, 1, 63, 64, 66):
        scores = parting._next_scores(patient, [*patient.prompt_ids[1], *ids[:position]], True)
        number = parting._uniform(stream_seed((SEED, 1), 1), position)
        assert int((scores.softmax(dim=0).cumsum(dim=0) < number).sum()) == ids[position]


def test_candidates_are_counted_as_the_same_near_ties_and_others():
    patient = patient_of(tiny_model("llama"), Fixed)
    patient.allowed_score_error = 0.01
    number = parting._uniform(stream_seed((SEED, 0), 1), 0)
    patient.chances = (number, 1 - number)

    def candidates(*tokens_and_scores):
        return [[Candidate(str(t), score, [t], -1.0) for t, score in tokens_and_scores]]

    left = candidates((1, 2.0), (0, 2.0), (1, float("-inf")))
    right = candidates((1, 2.009), (1, 3.0), (1, float("-inf")))
    assert parting.compare_candidates(patient, left, right) == (2, 1, "")
    same, ties, first = parting.compare_candidates(patient, left, candidates((1, 2.02)))
    assert (same, ties) == (0, 0)
    assert first == "candidate 0 of prompt 0 scores 2 and 2.02"
