"""What `reward_models.py` found, as sentences and tables."""

from collections.abc import Iterator

from rendering.table_texts import markdown_table

WAYS = {  # of scoring a candidate with SWIFT
    "head": "head alone",
    "generate_fed": "added to generate, fed",
    "generate_response": "added to generate, response",
    "second_forward": "the paper's way",
}
BATCHES = (1, 16)
MORE = ", and how many times more the reward models take"
SMALLEST = "Skywork-Reward-V2-Qwen3-1.7B"  # the others have about 7 billion parameters and more
# How many times cheaper than the reward models arXiv 2505.12225 reports its head alone. The clock
# of its published code starts after the second forward and the concatenation of the states.
PAPER = {"flops": [42_914, 89_988], "time": [113, 639]}

Rows = list[list[str]]  # the header first


def render(record: dict) -> str:
    """The sentences and the tables of a record, as Markdown."""
    parts = [
        f"**{title}**\n\n{markdown_table(top, rows)}" for title, (top, *rows) in tables(record)
    ]
    return "\n\n".join([sentences(record), *parts]) + "\n"


def sentences(record: dict) -> str:
    """What was compared, and the ranges beside the paper's."""
    latency, paper = record["latency"], record["paper"]
    lengths = f"{record['prompt_tokens']} prompt and {record['response_tokens']} response tokens"
    texts = [
        "The weights are random: FLOPs and latency do not depend on their values.",
        f"One candidate is {lengths}.",
        *(f'"{name}": {text}.' for name, text in record["score_read"].items()),
        'SWIFT adds the head to generate; with scored_tokens="response" also one decode step.',
        "The paper's way is a second forward of the whole language model, then the head.",
        "FLOPs of the reward models over SWIFT's head alone: "
        f"{_head_text(record['flops'], 'flops')}; the paper reports {_range_text(paper['flops'])}.",
    ]
    if latency is None:
        return " ".join([*texts, "Times: not measured."])
    texts.append(
        f"Times ({latency['machine']['device']}) are what a caller waits for, host and device, in "
        "bfloat16, with the attention that transformers takes by default; what SWIFT adds is one "
        "RunningScore.update times the tokens, each waited for, as generate does not."
    )
    texts += [
        f"Time over SWIFT's head alone, batch {batch}: {_head_text(costs, 'p50_ms')}."
        for batch, costs in _by_batch(latency)
    ]
    return " ".join([*texts, f"The paper reports {_range_text(paper['time'])}."])


def tables(record: dict) -> list[tuple[str, Rows]]:
    """Titles and rows. A ratio is a reward model's cost over SWIFT's: above 1, SWIFT costs less."""
    flops = record["flops"]
    latency = record["latency"] or {"batches": BATCHES, "reward_models": [], "swift": []}
    times = {(row["name"], row["batch"]): row["p50_ms"] for row in latency["reward_models"]}
    batches, over = (
        latency["batches"],
        [f"over the head of {row['policy']}" for row in flops["swift"]],
    )
    counted = [["reward model", "built as", "size", "FLOPs", *over]]
    timed = [["reward model", *(f"batch {batch}" for batch in batches)]]
    for model in flops["reward_models"]:
        name, cost = model["name"], model["flops"]
        built_as, size = f"{model['base']}, {model['score_read']}", model["parameters"] / 1e9
        ratios = [_ratio_text(cost / row["head"]) for row in flops["swift"]]
        counted.append([name, built_as, f"{size:.2f}B", _cost_text(cost, "flops"), *ratios])
        timed.append([name, *(_cost_text(times.get((name, b)), "p50_ms") for b in batches)])
    return [
        ("Reward models, FLOPs per candidate", counted),
        (f"SWIFT, FLOPs per candidate{MORE}", _swift_rows(flops, "flops")),
        ("Reward models, milliseconds per candidate", timed),
        *(
            (f"SWIFT, milliseconds per candidate, batch {b}{MORE}", _swift_rows(costs, "p50_ms"))
            for b, costs in _by_batch(latency)
        ),
    ]


def ratio_ranges(costs: dict, unit: str) -> dict[str, list[float]]:
    """The lowest and the highest of reward model over SWIFT, by each way."""
    models, swift = costs["reward_models"], costs["swift"]
    ratios = {way: [model[unit] / row[way] for model in models for row in swift] for way in WAYS}
    return {way: [min(values), max(values)] for way, values in ratios.items()}


def _by_batch(latency: dict) -> Iterator[tuple[int, dict]]:
    """The rows of each batch that has something to compare."""
    for batch in latency["batches"]:
        sides = {
            side: [row for row in latency[side] if row["batch"] == batch]
            for side in ("reward_models", "swift")
        }
        if all(sides.values()):
            yield batch, sides


def _swift_rows(costs: dict, unit: str) -> Rows:
    rows = [["policy model", *WAYS.values()]]
    for swift in costs["swift"]:
        ranges = ratio_ranges({**costs, "swift": [swift]}, unit)
        cells = [f"{_cost_text(swift[way], unit)} ({_range_text(ranges[way])})" for way in WAYS]
        rows.append([swift["policy"], *cells])
    return rows


def _head_text(costs: dict, unit: str) -> str:
    large = [model for model in costs["reward_models"] if model["name"] != SMALLEST]
    every = _range_text(ratio_ranges(costs, unit)["head"])
    if not large:
        return every
    without = _range_text(ratio_ranges({**costs, "reward_models": large}, unit)["head"])
    return f"{every} ({without} without the 1.7B model)"


def _range_text(ends: list[float]) -> str:
    return " to ".join(map(_ratio_text, ends))


def _ratio_text(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def _cost_text(cost: float | None, unit: str) -> str:
    if cost is None:
        return "not measured"
    if unit == "flops":
        return f"{cost / 1e12:.3g} T" if cost >= 1e12 else f"{cost / 1e9:.3g} G"
    return f"{cost:.1f}" if cost >= 100 else f"{cost:.3g}"
