"""An evaluation as a record, from what each method picks; `record_types` says what it holds."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from tqdm import tqdm

from swift_bon.candidates.score_names import SWIFT_SCORE
from swift_bon.evaluation.candidate_table import CandidateTable
from swift_bon.evaluation.picking import NO_PICK, Method
from swift_bon.evaluation.record_types import (
    Accuracies,
    CalibrationRecord,
    Curve,
    Curves,
    Differences,
    Discrimination,
    Evaluation,
)
from swift_bon.statistics import auroc, auroc_within, calibration
from swift_bon.statistics.resampling import (
    CHUNK_ELEMENTS,
    CONFIDENCE,
    NUM_PERMUTATIONS,
    Bootstrap,
    permutation_p_values,
)


def make_record(
    table: CandidateTable,
    methods: dict[str, Method],
    groups: Sequence[str],
    reference: str,
    num_draws: int,
    seed: int,
    *,
    show_progress: bool = False,
) -> Evaluation:
    """All but "candidates".

    Args:
        methods: in the order of tables.
        groups: of the prompts, drawn as a whole.
        reference: the method that the others are compared with.
        num_draws, seed: of the bootstrap; the seed is the permutation test's too.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_numbers = torch.tensor(
        [numbers[group] for group in groups], dtype=torch.int64, device="cpu"
    )
    bootstrap = Bootstrap(table.num_prompts, group_numbers, num_draws=num_draws, seed=seed)
    final = {name: method.picks.accuracy[:, -1] for name, method in methods.items()}  # [P] each
    accuracies = {name: float(accuracy.mean()) for name, accuracy in final.items()}
    record: Evaluation = {
        "candidates": None,
        "num_prompts": table.num_prompts,
        "num_candidates": int(table.present.sum()),
        "num_groups": len(numbers),
        "num_fewer": int((table.num_candidates < table.present.shape[1]).sum()),
        "num_draws": num_draws,
        "num_permutations": NUM_PERMUTATIONS,
        "seed": seed,
        "confidence": CONFIDENCE,
        "methods": [
            {"name": name, "label": method.label, "family": method.family}
            for name, method in methods.items()
        ],
        **cast(Accuracies, accuracies),  # the names of a user's scores are keys too
        **_curves(methods, bootstrap, show_progress),
        **_discrimination(table, methods, bootstrap),
        "no_pick": {
            name: method.picks.indices.count(NO_PICK)
            for name, method in methods.items()
            if method.family != "bound"
        },
        **_differences(reference, final, bootstrap, group_numbers, seed),
        "calibration": _calibration(table),
    }
    if SWIFT_SCORE in final:
        ratio = bootstrap.ratio_interval(final[SWIFT_SCORE], final["random"])
        record["swift_over_random"] = list(ratio)
    return record


def _curves(methods: dict[str, Method], bootstrap: Bootstrap, show_progress: bool) -> Curves:
    accuracies = {name: method.picks.accuracy for name, method in methods.items()}  # [P, K] each
    curves: dict[str, Curve] = {}
    size = max(accuracy.numel() for accuracy in accuracies.values())
    step = max(1, CHUNK_ELEMENTS // size)  # methods at a time, to draw seldom and to hold little
    names = list(accuracies)
    disable = None if show_progress else True
    progress = tqdm(total=len(names), desc="intervals", unit="method", disable=disable)
    for start in range(0, len(names), step):
        some = names[start : start + step]
        stacked = torch.stack([accuracies[name] for name in some], dim=1)  # [P, methods, K]
        low, high = bootstrap.bounds(stacked)
        rows = zip(some, stacked.mean(dim=0).tolist(), low.tolist(), high.tolist(), strict=True)
        curves |= {name: {"accuracy": a, "low": lo, "high": hi} for name, a, lo, hi in rows}
        progress.update(len(some))
    progress.close()
    return {
        "intervals": {name: [row["low"][-1], row["high"][-1]] for name, row in curves.items()},
        "ks": list(range(1, accuracies["random"].shape[-1] + 1)),
        "curves": curves,
    }


def _discrimination(
    table: CandidateTable, methods: dict[str, Method], bootstrap: Bootstrap
) -> Discrimination:
    """How well each score tells right from wrong, over all candidates and within a prompt."""
    record: Discrimination = {"auroc": {}, "auroc_within": {}, "missing": {}}
    for name, method in methods.items():
        scores = method.picks.scores
        if scores is None:
            continue
        is_known = ~scores.isnan()
        record["auroc"][name] = auroc(scores[is_known], table.correct[is_known])
        within = auroc_within(scores, table.correct)
        record["auroc_within"][name] = list(bootstrap.interval(within))
        record["missing"][name] = int((table.present & ~is_known).sum())
    return record


def _differences(
    reference: str,
    final: dict[str, Tensor],
    bootstrap: Bootstrap,
    group_numbers: Tensor,
    seed: int,
) -> Differences:
    """Of the reference to every other method but the oracle, which no method can beat."""
    others = [name for name in final if name not in (reference, "oracle")]
    keys = [f"{reference} - {name}" for name in others]
    if not others:
        return {"reference": reference, "differences": {}, "p_values": {}}
    columns = torch.stack([final[reference] - final[name] for name in others], dim=1)  # [P, M]
    low, high = bootstrap.bounds(columns)
    intervals = torch.stack([columns.mean(dim=0), low, high], dim=1).tolist()
    p_values = permutation_p_values(columns, group_numbers, seed=seed).tolist()
    return {
        "reference": reference,
        "differences": dict(zip(keys, intervals, strict=True)),
        "p_values": dict(zip(keys, p_values, strict=True)),
    }


def _calibration(table: CandidateTable) -> dict[str, CalibrationRecord]:
    """Of the scores that are, or claim to be, the probability of something."""
    # the chance to be right; that of each token, on average
    claims = {SWIFT_SCORE: torch.sigmoid, "mean_logprob": torch.exp}
    record: dict[str, CalibrationRecord] = {}
    for name, transform in claims.items():
        if name not in table.scores:
            continue
        is_known = ~table.scores[name].isnan()
        probabilities = transform(table.scores[name][is_known]).clamp(0, 1)
        measured = calibration(probabilities, table.correct[is_known])
        if math.isfinite(measured.brier):
            record[name] = {
                "ece": measured.ece,
                "brier": measured.brier,
                "bins": [
                    {"count": b.count, "probability": b.probability, "accuracy": b.accuracy}
                    for b in measured.bins
                ],
            }
    return record
