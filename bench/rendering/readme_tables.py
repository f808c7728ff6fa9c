"""The README's two small tables: does the pick help, and what reward models cost beside it."""

from typing import Any

from rendering.table_texts import machine_line, markdown_table

SHOWN_METHODS = ("random", "mean_logprob", "majority_vote", "swift", "oracle")
SHOWN_POLICY = "Llama-3.1-8B"  # whose head the reward models stand beside


def render_accuracies(record: dict[str, Any]) -> str:
    """Five ways to pick, at the largest k, with their intervals."""
    samples = record["ks"][-1]
    labels = {method["name"]: method["label"] for method in record["methods"]}
    rows = []
    for name in SHOWN_METHODS:
        curve = record["curves"][name]
        accuracy, low, high = (curve[key][-1] for key in ("accuracy", "low", "high"))
        rows.append((labels[name], f"{accuracy:.3f}", f"{low:.3f} to {high:.3f}"))
    headings = ("answer taken", f"best of {samples}", "95% interval")
    gain = "{:+.3f} ({:+.3f} to {:+.3f})".format(*record["differences"]["swift - mean_logprob"])
    return (
        f"{record['num_prompts']} questions in {record['num_groups']} groups. "
        f"{machine_line(record)}\n\n{markdown_table(headings, rows)}\n\n"
        f"SWIFT's pick over the most likely sample: {gain}."
    )


def render_costs(record: dict[str, Any]) -> str:
    """FLOPs of the reward models, those of one architecture together, over those of one head."""
    swift = next(row for row in record["flops"]["swift"] if row["policy"] == SHOWN_POLICY)
    by_architecture: dict[str, list[dict[str, Any]]] = {}
    for model in sorted(record["flops"]["reward_models"], key=lambda model: -model["flops"]):
        by_architecture.setdefault(model["base"], []).append(model)
    rows = [
        (
            ", ".join(model["name"] for model in models),
            architecture,
            _range([f"{model['flops'] / 1e12:.1f}" for model in models], " T"),
            _range([f"{model['flops'] / swift['head']:,.0f}" for model in models], "x"),
        )
        for architecture, models in by_architecture.items()
    ]
    lengths = f"{record['prompt_tokens']} prompt and {record['response_tokens']} response tokens"
    times = "not measured" if record["latency"] is None else "see docs/benchmarks.md"
    headings = ("reward models", "built as", "FLOPs per candidate", "over the head")
    return (
        f"One candidate is {lengths}; the head is that of {SHOWN_POLICY}, "
        f"{swift['head'] / 1e9:.3f} G FLOPs. Times: {times}.\n\n{markdown_table(headings, rows)}"
    )


def _range(texts: list[str], unit: str) -> str:
    """From the last to the first, which is the largest."""
    first, last = texts[0], texts[-1]
    return f"{first}{unit}" if first == last else f"{last} to {first}{unit}"
