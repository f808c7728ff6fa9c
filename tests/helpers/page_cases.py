"""Records and candidates for the tests of the page, and what a browser would read from it."""

import json
import random
from html.parser import HTMLParser
from typing import Any

from swift_bon.candidates.records import PromptCandidates, StoredCandidate, TokenScores
from swift_bon.evaluation.page.levels import ALPHABET

NAN = float("nan")
HOSTILE = {
    "script": "</script><script>alert(1)</script>",
    "comment": "<!-- <script> -->",
    "cdata": "<![CDATA[ ]]>",
    "quotes": """ " onload='alert(1)' ` ' " """,
    "entity": "&amp; &lt;b&gt; &#0; &",
    "template": "$title ${title} {title} %s \\",
    "separators": "a\u2028b\u2029c\x85d",
    "override": "abc \u202e def \u2066 ghi",
    "right to left": "כמה זה? مرحبا بالعالم 12 + 3",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "surrogates": "a\ud83db\udc00",
    "control": "a\x00b\x1b[31m\x7f\r\n\t",
    "empty": "",
}
METHODS = (
    ("random", "random sample", "bound"),
    ("mean_logprob", "most likely sample (mean log-probability)", "free"),
    ("entropy", "lowest mean entropy", "free"),
    ("majority_vote", "majority vote", "vote"),
    ("swift_vote", "vote weighted by SWIFT's score", "vote"),
    ("swift", "SWIFT's pick", "head"),
    ("Skywork-8B", "Skywork-8B", "reward"),
    ("swift+mean_logprob by rank", "SWIFT's pick and most likely sample by rank", "combination"),
    ("oracle", "oracle (any right one)", "bound"),
)
# beside the accuracy: the difference of SWIFT's pick to it, its bounds and p-value
DIFFERENCES = {
    "random": ([0.249, 0.21, 0.29], 0.00001),
    "mean_logprob": ([0.09, 0.05, 0.133], 0.0002),
    "entropy": ([0.1, 0.06, 0.14], 0.0001),
    "majority_vote": ([0.011, -0.02, 0.04], 0.48),
    "swift_vote": ([-0.005, -0.03, 0.02], 0.7),
    "Skywork-8B": ([-0.042, -0.07, -0.01], 0.012),
    "swift+mean_logprob by rank": ([-0.01, -0.03, 0.01], 0.4),
}
AT_ALL = (0.136, 0.295, 0.285, 0.374, 0.39, 0.385, 0.427, 0.395, 0.61)


def make_record(**changes: Any) -> dict[str, Any]:
    """As `evaluate` returns it, with round numbers."""
    ks = list(range(1, 9))
    record: dict[str, Any] = {
        "candidates": {
            "model": "tiny/llama",
            "task": "basics",
            "split": "test",
            "num_return_sequences": 8,
            "sampling": {"temperature": 0.9, "max_new_tokens": 64},
        },
        "num_prompts": 377,
        "num_candidates": 3016,
        "num_groups": 170,
        "num_draws": 2000,
        "seed": 0,
        "confidence": 0.95,
        "methods": [{"name": n, "label": words, "family": f} for n, words, f in METHODS],
        "ks": ks,
        "num_fewer": 0,
    }
    names = [name for name, _, _ in METHODS]
    record |= dict(zip(names, AT_ALL, strict=True))
    record["intervals"] = {name: [record[name] - 0.048, record[name] + 0.05] for name in names}
    record["curves"] = {name: make_curve(record[name], ks) for name in names}
    record["auroc"] = {"swift": 0.881, "mean_logprob": 0.745}
    record["auroc_within"] = {"swift": [0.861, 0.84, 0.882], "mean_logprob": [0.7, 0.68, 0.73]}
    record["differences"] = {f"swift - {name}": d for name, (d, _) in DIFFERENCES.items()}
    record["p_values"] = {f"swift - {name}": p for name, (_, p) in DIFFERENCES.items()}
    bins = [
        {"count": 301, "probability": 0.03, "accuracy": 0.02},
        {"count": 120, "probability": 0.4, "accuracy": 0.5},
        {"count": 0, "probability": NAN, "accuracy": NAN},
    ]
    record["calibration"] = {"swift": {"ece": 0.051, "brier": 0.102, "bins": bins}}
    return record | changes


def make_curve(last: float, ks: list[int]) -> dict[str, list[float]]:
    values = [0.136 + (last - 0.136) * (k - 1) / max(ks[-1] - 1, 1) for k in ks]
    return {
        "accuracy": values,
        "low": [value - 0.04 for value in values],
        "high": [value + 0.04 for value in values],
    }


def make_candidate(
    text: str = "The answer is 5.", *, correct: bool = False, num_tokens: int = 4, **fields: Any
) -> StoredCandidate:
    """The last token is not scored and writes nothing."""
    lengths = [len(text) // (num_tokens - 1)] * (num_tokens - 1) + [0]
    lengths[-2] += len(text) - sum(lengths)
    rewards = [0.5 * number - 1.0 for number in range(num_tokens - 1)] + [None]
    gates = [number / num_tokens for number in range(num_tokens - 1)] + [None]
    fields = {"answer": "5", "scores": {"swift": 0.5, "mean_logprob": -0.25}, **fields}
    fields.setdefault("token_scores", TokenScores(lengths, rewards, gates))
    return StoredCandidate(text, list(range(num_tokens)), correct, **fields)


def make_prompt(name: str = "sums-1", **fields: Any) -> PromptCandidates:
    fields.setdefault("candidates", [make_candidate(), make_candidate(correct=True)])
    return PromptCandidates(id=name, **{"prompt": "2 + 3?", "reference": "5", **fields})


def make_many(num_prompts: int, num_candidates: int, num_tokens: int) -> list[PromptCandidates]:
    """Texts as long as English ones: about four and a half characters a token."""
    draw = random.Random(3)
    words = ["so ", "we ", "add ", "twelve ", "and ", "multiply ", "it, ", "<b> ", "32 "]
    prompts = []
    for number in range(num_prompts):
        candidates = []
        for _ in range(num_candidates):
            tokens = draw.choices(words, k=num_tokens)
            rewards = [draw.gauss(0, 2) for _ in tokens]
            gates = [draw.random() for _ in tokens]
            scores = {"swift": draw.gauss(0, 1), "mean_logprob": -draw.random()}
            candidates.append(
                StoredCandidate(
                    "".join(tokens),
                    [0] * num_tokens,
                    draw.random() < 0.3,
                    answer="32",
                    scores=scores,
                    token_scores=TokenScores([len(token) for token in tokens], rewards, gates),
                )
            )
        prompts.append(make_prompt(f"many-{number}", candidates=candidates))
    return prompts


class Page(HTMLParser):
    """Elements with their attributes, the texts between them, and the blocks of data."""

    def __init__(self, source: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.blocks: dict[str, Any] = {}
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.elements[-1] if self.elements else ("", {})
        if attributes.get("type") == "application/json":
            if data.strip():
                self.blocks[attributes["id"]] = json.loads(data)
        elif tag in self.inline and self.cdata_elem == tag:
            self.inline[tag].append(data)
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def questions(self) -> list[dict[str, Any]]:
        return self.blocks["questions"]["questions"]

    def candidates(self, position: int = 0) -> list[dict[str, Any]]:
        return self.blocks[f"question-{position}"]["candidates"]

    def attributes(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def words(html: str) -> str:
    """As a reader sees it: tags take no room within a sentence."""
    text = "".join(Page(html).texts).replace("\u00a0", " ")
    return " ".join(text.split())


def unpack_lengths(packed: str) -> list[int]:
    """As candidates.js does it."""
    lengths, more = [], 0
    for character in packed:
        level = ALPHABET.index(character)
        if level == len(ALPHABET) - 1:
            more += level
        else:
            lengths.append(more + level)
            more = 0
    return lengths
