"""What an evaluation says.

It is the dict that is saved as JSON:

    "candidates"     the header of the file, or None
    "num_prompts", "num_candidates", "num_groups", "num_fewer" (prompts with fewer than the most)
    "num_draws", "seed", "confidence"       of the intervals; "num_permutations", of the tests
    "methods"        a dict each: "name", "label", "family", in the order of tables
    NAME             accuracy of each method with all candidates
    "intervals"      by name: [low, high]
    "ks", "curves"   k from 1 to N; by name "accuracy", "low", "high", a list over k
    "auroc"          by name, of all candidates together; "auroc_within" [mean, low, high] within a
                     prompt; "missing", how many candidates have no such score
    "no_pick"        by name: prompts without any such score or vote, where the pick is random
    "reference"      the method that the others are compared with
    "differences"    "swift - random": [mean, low, high]; "p_values", of a paired permutation test
    "calibration"    by name: "ece", "brier", "bins" of "count", "probability", "accuracy"
    "swift_over_random"    [ratio, low, high]
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swift_bon.candidates.score_names import SWIFT_SCORE
from swift_bon.evaluation.candidate_table import CandidateTable
from swift_bon.evaluation.picking import NO_PICK, Method
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
) -> dict[str, Any]:
    """All but "candidates".

    Args:
        methods: in the order of tables.
        groups: of the prompts, drawn as a whole.
        reference: the method that the others are compared with.
        num_draws, seed: of the bootstrap; the seed is the permutation test's too.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_numbers = torch.tensor([numbers[group] for group in groups])
    bootstrap = Bootstrap(table.num_prompts, group_numbers, num_draws=num_draws, seed=seed)
    final = {name: method.picks.accuracy[:, -1] for name, method in methods.items()}  # [P] each
    record: dict[str, Any] = {
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
        **{name: float(accuracy.mean()) for name, accuracy in final.items()},
        **_curves(methods, bootstrap),
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


def _curves(methods: dict[str, Method], bootstrap: Bootstrap) -> dict[str, Any]:
    curves = {name: method.picks.accuracy for name, method in methods.items()}  # [P, K] each
    found = {}
    size = max(curve.numel() for curve in curves.values())
    step = max(1, CHUNK_ELEMENTS // size)  # methods at a time, to draw seldom and to hold little
    names = list(curves)
    for start in range(0, len(names), step):
        some = names[start : start + step]
        stacked = torch.stack([curves[name] for name in some], dim=1)  # [P, methods, K]
        low, high = bootstrap.bounds(stacked)
        rows = zip(some, stacked.mean(dim=0).tolist(), low.tolist(), high.tolist(), strict=True)
        found |= {name: {"accuracy": a, "low": lo, "high": hi} for name, a, lo, hi in rows}
    return {
        "intervals": {name: [row["low"][-1], row["high"][-1]] for name, row in found.items()},
        "ks": list(range(1, curves["random"].shape[-1] + 1)),
        "curves": found,
    }


def _discrimination(
    table: CandidateTable, methods: dict[str, Method], bootstrap: Bootstrap
) -> dict[str, Any]:
    """How well each score tells right from wrong, over all candidates and within a prompt."""
    record: dict[str, Any] = {"auroc": {}, "auroc_within": {}, "missing": {}}
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
) -> dict[str, Any]:
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


def _calibration(table: CandidateTable) -> dict[str, Any]:
    """Of the scores that are, or claim to be, the probability of something."""
    # the chance to be right; that of each token, on average
    claims = {SWIFT_SCORE: torch.sigmoid, "mean_logprob": torch.exp}
    record = {}
    for name, transform in claims.items():
        if name not in table.scores:
            continue
        is_known = ~table.scores[name].isnan()
        probabilities = transform(table.scores[name][is_known]).clamp(0, 1)
        found = calibration(probabilities, table.correct[is_known])
        if math.isfinite(found.brier):
            record[name] = {
                "ece": found.ece,
                "brier": found.brier,
                "bins": [row._asdict() for row in found.bins],
            }
    return record
