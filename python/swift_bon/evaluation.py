"""Does the pick beat the alternatives? Accuracies of a candidates file, with intervals and tests.

An evaluation is the dict that is saved as JSON:

    "candidates"     the header of the file, or None
    "num_prompts", "num_candidates", "num_groups", "num_fewer" (prompts with fewer than the most)
    "num_draws", "seed", "confidence"       of the intervals
    "methods"        a dict each: "name", "label", "family", in the order of tables
    NAME             accuracy of each method with all candidates
    "intervals"      by name: [low, high]
    "ks", "curves"   k from 1 to N; by name "accuracy", "low", "high", a list over k
    "auroc"          by name, of all candidates together; "auroc_within" [mean, low, high] within a
                     prompt; "missing", how many candidates have no such score
    "reference"      the method that the others are compared with
    "differences"    "swift - random": [mean, low, high]; "p_values", of a paired permutation test
    "calibration"    by name: "ece", "brier", "bins" of "count", "probability", "accuracy"
    "swift_over_random"    [ratio, low, high]
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swift_bon.candidate_files import header_path, iterate_candidates, read_header
from swift_bon.candidate_table import CandidateTable, tabulate
from swift_bon.candidates import PromptCandidates
from swift_bon.groups import groups_of
from swift_bon.methods import FREE_SCORES, HEAD, family, label
from swift_bon.picking import Picks, pick_with_all_methods
from swift_bon.statistics import auroc, auroc_within, calibration
from swift_bon.statistics.resampling import CONFIDENCE, NUM_DRAWS, Bootstrap, permutation_p_value
from swift_kernels.checks import check_count


def evaluate(
    path: str | Path,
    *,
    combine: Sequence[tuple[str, str]] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy of each way to pick one of k, for every k, with paired intervals over prompts.

    Args:
        path: candidates with scores, as `collect --head` and `score` write them.
        combine: pairs of scores to combine by rank, by scaling and by a fitted blend; None: SWIFT's
            with the mean log-probability and with each external reward.
        reference: the method that the others are compared with; None: SWIFT's pick, else the most
            likely sample.
        num_draws: of the bootstrap, which draws groups of prompts that ask for one thing.
        seed: of all that is drawn.

    Returns:
        the record above.

    Raises:
        FileNotFoundError, ValueError: no such file, a damaged line, or no such score.
    """
    return evaluate_file(path, combine, reference, num_draws, seed)[0]


def evaluate_file(
    path: str | Path,
    combine: Sequence[tuple[str, str]] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """`evaluate`, and which candidate of each prompt each method picks, for the report."""
    table = tabulate(iterate_candidates(path))
    header = read_header(Path(path)) if header_path(Path(path)).is_file() else None
    groups = groups_of(table.prompts, "" if header is None else header["task"])
    return _evaluate(table, groups, header, combine, reference, num_draws, seed)


def evaluate_candidates(
    prompts: Iterable[PromptCandidates],
    *,
    combine: Sequence[tuple[str, str]] | None = None,
    reference: str | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """`evaluate` for candidates in memory; each prompt is a group of its own."""
    table = tabulate(prompts)
    groups = [prompt.id for prompt in table.prompts]
    return _evaluate(table, groups, None, combine, reference, num_draws, seed)[0]


def _evaluate(
    table: CandidateTable,
    groups: Sequence[str],
    header: dict[str, Any] | None,
    combine: Sequence[tuple[str, str]] | None,
    reference: str | None,
    num_draws: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, list[int]]]:
    check_count(num_draws, "num_draws")
    pairs = default_pairs(table.scores) if combine is None else _check_pairs(combine, table)
    picks = pick_with_all_methods(table, groups, pairs, seed)
    reference = _choose_reference(reference, picks)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_numbers = torch.tensor([numbers[group] for group in groups])
    bootstrap = Bootstrap(table.num_prompts, group_numbers, num_draws=num_draws, seed=seed)
    final = {name: found.accuracy[:, -1] for name, found in picks.items()}  # [P] each
    record: dict[str, Any] = {
        "candidates": header,
        "num_prompts": table.num_prompts,
        "num_candidates": int(table.present.sum()),
        "num_groups": len(numbers),
        "num_fewer": int((table.num_candidates < table.present.shape[1]).sum()),
        "num_draws": num_draws,
        "seed": seed,
        "confidence": CONFIDENCE,
        "methods": [{"name": n, "label": label(n), "family": family(n)} for n in picks],
        **{name: float(accuracy.mean()) for name, accuracy in final.items()},
        **_curves(picks, bootstrap),
        **_discrimination(table, picks, bootstrap),
        **_differences(reference, final, bootstrap, group_numbers, seed),
        "calibration": _calibration(table),
    }
    if HEAD in final:
        ratio = bootstrap.ratio_interval(final[HEAD], final["random"])
        record["swift_over_random"] = list(ratio)
    return record, {name: found.indices for name, found in picks.items()}


def default_pairs(scores: Iterable[str]) -> list[tuple[str, str]]:
    """SWIFT's score, or without it the mean log-probability, with what it can be combined with."""
    names = list(scores)
    rewards = [name for name in names if family(name) == "reward"]
    if HEAD in names:
        partners = [name for name in ("mean_logprob",) if name in names]
        return [(HEAD, partner) for partner in partners + rewards]
    return [("mean_logprob", reward) for reward in rewards if "mean_logprob" in names]


def _check_pairs(pairs: Sequence[tuple[str, str]], table: CandidateTable) -> list[tuple[str, str]]:
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= table.scores.keys():
            raise ValueError(
                f"combine has {'+'.join(pair)!r}, expected two different scores of the candidates: "
                f"{', '.join(table.scores) or 'they have none'}"
            )
    return list(pairs)


def _choose_reference(reference: str | None, picks: dict[str, Picks]) -> str:
    if reference is None:
        return next(name for name in (HEAD, FREE_SCORES[0], *picks) if name in picks)
    if reference not in picks:
        raise ValueError(f"reference is {reference!r}, expected one of {', '.join(picks)}")
    return reference


def _curves(picks: dict[str, Picks], bootstrap: Bootstrap) -> dict[str, Any]:
    curves = torch.stack([found.accuracy for found in picks.values()], dim=1)  # [P, methods, K]
    low, high = bootstrap.bounds(curves)
    rows = zip(picks, curves.mean(dim=0).tolist(), low.tolist(), high.tolist(), strict=True)
    found = {name: {"accuracy": a, "low": lo, "high": hi} for name, a, lo, hi in rows}
    return {
        "intervals": {name: [row["low"][-1], row["high"][-1]] for name, row in found.items()},
        "ks": list(range(1, curves.shape[-1] + 1)),
        "curves": found,
    }


def _discrimination(
    table: CandidateTable, picks: dict[str, Picks], bootstrap: Bootstrap
) -> dict[str, Any]:
    """How well each score tells right from wrong, over all candidates and within a prompt."""
    record: dict[str, Any] = {"auroc": {}, "auroc_within": {}, "missing": {}}
    for name, found in picks.items():
        if found.scores is None:
            continue
        is_known = ~found.scores.isnan()
        record["auroc"][name] = auroc(found.scores[is_known], table.correct[is_known])
        within = auroc_within(found.scores, table.correct)
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
    record: dict[str, Any] = {"reference": reference, "differences": {}, "p_values": {}}
    for name, accuracy in final.items():
        if name in (reference, "oracle"):
            continue
        difference = final[reference] - accuracy
        key = f"{reference} - {name}"
        record["differences"][key] = list(bootstrap.interval(difference))
        record["p_values"][key] = permutation_p_value(difference, group_numbers, seed=seed)
    return record


def _calibration(table: CandidateTable) -> dict[str, Any]:
    """Of the scores that are, or claim to be, the probability of something."""
    claims = {HEAD: torch.sigmoid, "mean_logprob": torch.exp}  # right; each token, on average
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
