"""Candidates to evaluate, made by hand and at random."""

import random

from swift_bon.candidates.records import PromptCandidates, StoredCandidate

Row = tuple[bool, float | None, float]  # right or wrong, SWIFT's score, mean log-probability


def prompt(name: str, rows: list[Row], answers: str | None = None) -> PromptCandidates:
    """One prompt; `answers` has a letter for each candidate."""
    candidates = [
        StoredCandidate(
            "text",
            [1],
            correct,
            None if answers is None else answers[number],
            {"mean_logprob": logprob} | ({} if swift is None else {"swift": swift}),
        )
        for number, (correct, swift, logprob) in enumerate(rows)
    ]
    return PromptCandidates(name, "p", "r", candidates)


PROMPTS = [
    prompt("a", [(True, 2.0, -1.0), (False, 1.0, -0.5)]),  # swift right, log-probability wrong
    prompt("b", [(False, 0.0, -1.0), (True, 1.0, -0.5)]),  # both right
    prompt("c", [(False, 1.0, -1.0), (False, 0.0, -2.0)]),  # none can be right
    prompt("d", [(True, None, -1.0), (False, 0.0, -2.0), (False, -1.0, -3.0), (False, -1.0, -3.0)]),
]


def random_prompts(
    num_prompts: int, num_candidates: int, *, seed: int = 0, reward: bool = False
) -> list[PromptCandidates]:
    """Right ones score higher on average; the text of each tells its answer."""
    draw = random.Random(seed)
    prompts = []
    for number in range(num_prompts):
        candidates = []
        for index in range(num_candidates):
            correct = draw.random() < 0.3
            answer = "right" if correct else draw.choice(["x", "y", None])
            scores = {"mean_logprob": draw.gauss(correct, 2) - 5, "swift": draw.gauss(correct, 1)}
            scores["length"] = float(draw.randrange(5, 30))
            if reward:
                scores["Judge-7B"] = draw.gauss(correct, 1)
            text = f"the answer {index} is {answer}"
            candidates.append(StoredCandidate(text, [7, 8, 2], correct, answer, scores))
        prompts.append(PromptCandidates(f"q{number}", f"question {number}?", "right", candidates))
    return prompts
