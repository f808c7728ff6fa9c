"""Does a text depend on its neighbours: in a batch, behind a shared prompt, in another thread."""

import threading
from concurrent.futures import ThreadPoolExecutor

from swift_bon.diagnosis.findings import Check
from swift_bon.diagnosis.parting import compare_candidates
from swift_bon.diagnosis.patient import Patient, Rows
from swift_bon.generation.results import Candidate

NEIGHBOURS = "the model mixes up texts that stand in one batch, without padding: pass batch_size=1"


def check_batches(patient: Patient) -> Check:
    """All at once, where nothing is shared, as each alone."""
    what = "one candidate of each prompt, all at once and each alone"
    advice = "the model does not ignore its padding: pass batch_size=1, or prompts of one length"
    if not patient.pads:
        what += " (this model's batches are not padded: prompts of unequal length are kept apart)"
        advice = NEIGHBOURS
    return _same_candidates(patient, "batches", what, patient.unshared, patient.one_by_one, advice)


def check_prefill(patient: Patient) -> Check:
    """Behind a prompt that was run once for all of its candidates, as without sharing."""
    what = "candidates behind a shared prompt, and the same without sharing"
    advice = (
        "the prompt's cache cannot be shared on this model: pass use_cache=False or batch_size=1"
    )
    if not patient.shares:
        what = "candidates beside those of the same prompt, and the same without (this model's "
        what += "prefill is not shared)"
        advice = NEIGHBOURS
    return _same_candidates(
        patient, "prefill", what, patient.together, _without_sharing(patient), advice
    )


def _without_sharing(patient: Patient) -> Rows:
    """Each alone; the first of each prompt in a padded batch, so that padding is not blamed on
    sharing where that alone changes a text."""
    _, _, first = compare_candidates(patient, patient.unshared, patient.one_by_one)
    return patient.unshared if first else patient.one_by_one


def _same_candidates(
    patient: Patient, name: str, what: str, left: Rows, right: Rows, advice: str
) -> Check:
    same, ties, first = compare_candidates(patient, left, right)
    count = sum(min(len(a), len(b)) for a, b in zip(left, right, strict=True))
    words = f"{what}: {same} of {count} the same"
    if ties:
        words += f", {ties} part at a near tie that rounding decides"
    unlike = count - same - ties
    if not unlike:
        return Check(name, "passed", f"{words}; how many differ", 0, 0)
    return Check(name, "failed", f"{words}; {first}; how many differ", unlike, 0, advice)


def check_threads(patient: Patient) -> Check:
    """Two threads that generate with the model at once, as one after the other."""
    seeds = (patient.seed, patient.seed + 1)
    count = min(2, patient.num_return_sequences)
    apart = [patient.sample(count, None, seed=seed) for seed in seeds]
    start = threading.Barrier(len(seeds))

    def sample(seed: int) -> Rows:
        start.wait()
        return patient.sample(count, None, seed=seed)

    with ThreadPoolExecutor(len(seeds)) as pool:
        at_once = list(pool.map(sample, seeds))
    unlike = sum(
        a.token_ids != b.token_ids
        or not (a.score == b.score or abs(a.score - b.score) <= patient.allowed_score_error)
        for a, b in zip(_flat(apart), _flat(at_once), strict=True)
    )
    words = "two threads at once against one after the other: how many candidates differ"
    if not unlike:
        return Check("threads", "passed", words, 0, 0)
    advice = "the model keeps something between its calls; give each thread a model of its own"
    return Check("threads", "failed", words, unlike, 0, advice)


def _flat(runs: list[Rows]) -> list[Candidate]:
    return [candidate for rows in runs for row in rows for candidate in row]
