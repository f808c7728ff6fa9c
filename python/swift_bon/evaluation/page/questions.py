"""Questions and their candidates as blocks of data, as many as fit into the page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.evaluation.page.formats import clean, finite, to_json, visible
from swift_bon.evaluation.page.levels import (
    ALPHABET,
    NOT_SCORED,
    Scale,
    describe,
    gate_scale,
    pack_lengths,
    reward_scale,
    to_values,
    utf16_lengths,
)

LISTED_CHARACTERS = 1000  # of a prompt in the list, which is searched; the rest waits in its block
INDEX_BYTES = 2048  # for the alphabet, the scales and the brackets around the list
UNGRADED = {"right": None}  # of how many is right nothing is said
RIVAL = "mean_logprob"  # what the filters of the list hold SWIFT's pick against


class Detail(NamedTuple):
    """What is shown of one question: `record` but for the levels, which need the page's scale."""

    record: dict[str, Any]
    rewards: list[Tensor | None]  # one a candidate: None where it has no token scores
    gates: list[Tensor | None]
    num_bytes: int

    def render(self, position: int, rewards: Scale | None, gates: Scale | None) -> str:
        for name, scale, rows in (("rewards", rewards, self.rewards), ("gates", gates, self.gates)):
            for candidate, values in zip(self.record["candidates"], rows, strict=True):
                if values is not None:
                    blank = NOT_SCORED * len(values)
                    candidate[name] = blank if scale is None else scale.pack(values)
        return data_block(f"question-{position}", self.record)


class PackedQuestions(NamedTuple):
    """The blocks, and what did not fit."""

    blocks: str
    num_questions: int
    num_listed: int
    num_detailed: int
    rewards: Scale | None
    gates: Scale | None


def data_block(name: str, record: Any) -> str:
    """A script element that no browser runs, and no text can end."""
    return f'<script type="application/json" id="{name}">{to_json(record)}</script>\n'


def pack_questions(
    prompts: Iterable[PromptCandidates],
    picks: Mapping[str, Sequence[int]],
    labels: Mapping[str, str],
    *,
    max_bytes: int,
    max_candidates: int,
    is_graded: bool = True,
) -> PackedQuestions:
    """Read the prompts once and keep what fits into `max_bytes`.

    A question that does not fit is listed without candidates; when the list alone is too long, the
    last questions are counted only.

    Raises:
        ValueError: the picks are not as many as the prompts, or name no candidate of theirs.
    """
    entries: list[dict[str, Any]] = []
    details: dict[int, Detail] = {}
    room, num_questions = max_bytes - INDEX_BYTES - len(to_json(labels).encode()), 0
    for position, prompt in enumerate(prompts):
        num_questions += 1
        chosen = _picks_of(prompt, picks, position)
        if len(entries) < position:  # the list is full: from here on only count
            continue
        entry = _entry(prompt, chosen) if is_graded else _entry(prompt, {}) | UNGRADED
        room -= len(to_json(entry).encode()) + 1
        while room < 0 and details:
            room += details.popitem()[1].num_bytes
        if room < 0:
            continue
        entries.append(entry)
        shown = _shown(prompt.candidates, chosen, max_candidates)
        if sum(len(prompt.candidates[index].text) for index in shown) < room:
            detail = _detail(prompt, chosen, shown, position, is_graded)
            if detail.num_bytes <= room:
                details[position] = detail
                room -= detail.num_bytes
    _check_lengths(picks, num_questions)
    scales = _scales(details.values())
    index = {
        "levels": {"alphabet": ALPHABET, "not scored": NOT_SCORED},
        "rewards": describe(scales[0]),
        "gates": describe(scales[1]),
        "methods": labels,
        "questions": entries,
    }
    blocks = [data_block("questions", index)]
    blocks += [detail.render(position, *scales) for position, detail in details.items()]
    return PackedQuestions("".join(blocks), num_questions, len(entries), len(details), *scales)


def _scales(details: Iterable[Detail]) -> tuple[Scale | None, Scale | None]:
    """Of all tokens on the page, so that a colour means the same in every question."""
    details = list(details)
    rewards = [row for detail in details for row in detail.rewards if row is not None]
    gates = [row for detail in details for row in detail.gates if row is not None]
    return reward_scale(rewards), gate_scale(gates)


def _picks_of(
    prompt: PromptCandidates, picks: Mapping[str, Sequence[int]], position: int
) -> dict[str, int]:
    """Method -> index of its pick, where it has one."""
    chosen = {}
    for name, indices in picks.items():
        if position >= len(indices):
            raise ValueError(
                f"picks[{name!r}] has {len(indices)} entries, and there are more prompts; "
                "expected one for each, -1 where the method picks none"
            )
        index = int(indices[position])
        if not -1 <= index < len(prompt.candidates):
            raise ValueError(
                f"picks[{name!r}][{position}] is {index}, expected -1 or one of the "
                f"{len(prompt.candidates)} candidates of {prompt.id!r}"
            )
        if index >= 0:
            chosen[name] = index
    return chosen


def _check_lengths(picks: Mapping[str, Sequence[int]], num_prompts: int) -> None:
    for name, indices in picks.items():
        if len(indices) != num_prompts:
            raise ValueError(
                f"picks[{name!r}] has {len(indices)} entries, expected one for each of the "
                f"{num_prompts} prompts"
            )


def _entry(prompt: PromptCandidates, chosen: Mapping[str, int]) -> dict[str, Any]:
    """What the list shows, searches and filters by."""

    def is_right(name: str) -> bool | None:
        return prompt.candidates[chosen[name]].correct if name in chosen else None

    text = prompt.prompt
    if len(text) > LISTED_CHARACTERS:
        text = text[:LISTED_CHARACTERS] + "…"
    return {
        "id": clean(prompt.id),
        "prompt": visible(text),
        "right": sum(prompt.correct),
        "of": len(prompt.candidates),
        "swift": is_right("swift"),
        "rival": is_right(RIVAL),
    }


def _shown(
    candidates: Sequence[StoredCandidate], chosen: Mapping[str, int], max_candidates: int
) -> list[int]:
    """Picked ones first, then by SWIFT's score; in the order of that score. A right one is kept."""
    order = sorted(range(len(candidates)), key=lambda index: -_swift_score(candidates[index]))
    wanted = list(dict.fromkeys([*chosen.values(), *order]))
    shown = wanted[:max_candidates]
    if not any(candidates[index].correct for index in shown):
        shown[-1] = next((index for index in order if candidates[index].correct), shown[-1])
    return sorted(shown, key=order.index)


def _swift_score(candidate: StoredCandidate) -> float:
    score = finite(candidate.scores.get("swift"))
    return float("-inf") if score is None else score


def _detail(
    prompt: PromptCandidates,
    chosen: Mapping[str, int],
    shown: list[int],
    position: int,
    is_graded: bool,
) -> Detail:
    candidates = [_candidate(prompt.candidates[index], index, chosen) for index in shown]
    if is_graded:
        record: dict[str, Any] = {"reference": visible(prompt.reference), "candidates": candidates}
    else:
        record = {"candidates": [candidate | {"correct": None} for candidate in candidates]}
    if len(prompt.prompt) > LISTED_CHARACTERS:
        record["prompt"] = visible(prompt.prompt)
    tokens = [prompt.candidates[index].token_scores for index in shown]
    detail = Detail(
        record,
        [None if row is None else to_values(row.rewards) for row in tokens],
        [None if row is None else to_values(row.gates) for row in tokens],
        num_bytes=0,
    )
    # a level takes one byte, whatever it is: blanks tell the size before the scale is known
    return detail._replace(num_bytes=len(detail.render(position, None, None).encode()))


def _candidate(candidate: StoredCandidate, index: int, chosen: Mapping[str, int]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "index": index,
        "correct": candidate.correct,
        "answer": None if candidate.answer is None else visible(candidate.answer),
        "scores": {clean(name): finite(score) for name, score in candidate.scores.items()},
        "picked": [clean(name) for name, pick in chosen.items() if pick == index],
        "tokens": len(candidate.token_ids),
        "text": visible(candidate.text),
    }
    if candidate.token_scores is not None:
        lengths = utf16_lengths(candidate.text, candidate.token_scores.lengths)
        record["lengths"] = pack_lengths(lengths)
    return record
