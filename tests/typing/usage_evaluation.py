"""What a type checker makes of an evaluation: mypy reads this file, nothing runs it."""

from swift_bon import evaluate, report

record = evaluate("candidates.jsonl")
accuracy: float = record["swift"]
low, high = record["intervals"]["swift"]
last: float = record["curves"]["swift"]["accuracy"][-1]
labels: list[str] = [method["label"] for method in record["methods"]]
brier: float = record["calibration"]["swift"]["brier"]
num_prompts: int = record["num_prompts"]
gain, p = record["differences"]["swift - random"], record["p_values"]["swift - random"]

record["num_promts"]  # type: ignore[typeddict-item]  # misspelt
record["curves"]["swift"]["acuracy"]  # type: ignore[typeddict-item]  # misspelt
record["num_prompts"].lower()  # type: ignore[attr-defined]  # a number

evaluated, files = report("candidates.jsonl", "judged", show_progress=False)
page_bytes: int = files.html.stat().st_size
oracle: float = evaluated["oracle"]
evaluated["orakel"]  # type: ignore[typeddict-item]  # misspelt
