"""What `reward_models.py` found, as sentences and tables."""

from collections.abc import Callable

from rich.table import Table

WAYS = {  # of scoring a candidate with SWIFT
    "head": "head alone",
    "generate_fed": "added to generate, fed",
    "generate_response": "added to generate, response",
    "second_forward": "the paper's way",
}
BATCHES = (1, 16)
MORE = ", and how many times more the reward models take"
SMALLEST = "Skywork-Reward-V2-Qwen3-1.7B"  # the others have about 7 billion parameters and more

Rows = list[list[str]]  # the header first


def render(record: dict) -> str:
    """The sentences and the tables of a record, as Markdown."""
    parts = [sentences(record)]
    for title, rows in tables(record):
        header, *body = ["| " + " | ".join(row) + " |" for row in rows]
        rule = "|" + " --- |" * len(rows[0])
        parts.append("\n".join([f"**{title}**", "", header, rule, *body]))
    return "\n\n".join(parts) + "\n"


def sentences(record: dict) -> str:
    """What was compared, and the ranges beside the paper's."""
    flops, latency, paper = record["flops"], record["latency"], record["paper"]
    lengths = f"{record['prompt_tokens']} prompt and {record['response_tokens']} response tokens"
    texts = [
        "The weights are random: FLOPs and latency do not depend on their values.",
        f"One candidate is {lengths}.",
        *(f'"{name}": {text}.' for name, text in record["score_read"].items()),
        'SWIFT adds the head to generate; with scored_tokens="response" also one decode step.',
        "The paper's way is a second forward of the whole language model, then the head.",
        f"FLOPs of the reward models over SWIFT's head alone: {_head_text(flops, 'flops')}"
        f"; the paper reports {_range_text(paper['flops'])}.",
    ]
    if latency is None:
        return " ".join([*texts, "Times: not measured."])
    texts.append(
        f"Times ({latency['machine']['device']}) are what a caller waits for, host and device, in "
        "bfloat16, with the attention that transformers takes by default; what SWIFT adds is one "
        "RunningScore.update times the tokens, each waited for, as generate does not."
    )
    texts += [
        f"Time over SWIFT's head alone, batch {batch}: "
        f"{_head_text(of_batch(latency, batch), 'p50_ms')}."
        for batch in latency["batches"]
        if has_both(of_batch(latency, batch))
    ]
    return " ".join([*texts, f"The paper reports {_range_text(paper['time'])}."])


def tables(record: dict) -> list[tuple[str, Rows]]:
    """Titles and rows. A ratio is a reward model's cost over SWIFT's: above 1, SWIFT costs less."""
    flops, latency = record["flops"], record["latency"]
    result = [
        ("Reward models, FLOPs per candidate", _flops_rows(flops)),
        (f"SWIFT, FLOPs per candidate{MORE}", _swift_rows(flops, "flops", _flops_text)),
        ("Reward models, milliseconds per candidate", _latency_rows(record)),
    ]
    for batch in latency["batches"] if latency is not None else ():
        if not has_both(of_batch(latency, batch)):
            continue
        rows = _swift_rows(of_batch(latency, batch), "p50_ms", _ms_text)
        result.append((f"SWIFT, milliseconds per candidate, batch {batch}{MORE}", rows))
    return result


def rich_table(title: str, rows: Rows) -> Table:
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    return table


def ratio_ranges(costs: dict, unit: str) -> dict[str, list[float]]:
    """The lowest and the highest of reward model over SWIFT, by each way."""
    ranges = {}
    for way in WAYS:
        ratios = [
            model[unit] / swift[way] for model in costs["reward_models"] for swift in costs["swift"]
        ]
        ranges[way] = [min(ratios), max(ratios)]
    return ranges


def has_both(costs: dict) -> bool:
    """Whether there is anything to compare."""
    return bool(costs["reward_models"] and costs["swift"])


def of_batch(latency: dict, batch: int) -> dict:
    return {
        side: [row for row in latency[side] if row["batch"] == batch]
        for side in ("reward_models", "swift")
    }


def _flops_rows(flops: dict) -> Rows:
    policies = [row["policy"] for row in flops["swift"]]
    header = ["reward model", "built as", "size", "FLOPs"]
    return [
        [*header, *(f"over the head of {policy}" for policy in policies)],
        *(
            [
                model["name"],
                f"{model['base']}, {model['score_read']}",
                f"{model['parameters'] / 1e9:.2f}B",
                _flops_text(model["flops"]),
                *(_ratio_text(model["flops"] / row["head"]) for row in flops["swift"]),
            ]
            for model in flops["reward_models"]
        ),
    ]


def _latency_rows(record: dict) -> Rows:
    latency = record["latency"] or {"batches": BATCHES, "reward_models": []}
    batches = latency["batches"]
    times = {
        (row["name"], row["batch"]): _ms_text(row["p50_ms"]) for row in latency["reward_models"]
    }
    names = [model["name"] for model in record["flops"]["reward_models"]]
    return [
        ["reward model", *(f"batch {batch}" for batch in batches)],
        *(
            [name, *(times.get((name, batch), "not measured") for batch in batches)]
            for name in names
        ),
    ]


def _swift_rows(costs: dict, unit: str, text: Callable[[float], str]) -> Rows:
    rows = [["policy model", *WAYS.values()]]
    for swift in costs["swift"]:
        ranges = ratio_ranges({**costs, "swift": [swift]}, unit)
        cells = [f"{text(swift[way])} ({_range_text(ranges[way])})" for way in WAYS]
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
    return f"{_ratio_text(ends[0])} to {_ratio_text(ends[1])}"


def _ratio_text(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def _flops_text(flops: float) -> str:
    return f"{flops / 1e12:.3g} T" if flops >= 1e12 else f"{flops / 1e9:.3g} G"


def _ms_text(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
