"""The table of an evaluation: the record of `evaluate.py` as Markdown."""

from rendering.table_texts import machine_line, markdown_table
from swift_bon.evaluation.number_texts import interval_text, p_relation, p_text
from swift_bon.evaluation.record_types import Evaluation, MethodName

COMPARED = "mean_logprob"  # the free baseline that the sentence below the table names


def render(record: Evaluation) -> str:
    """Every method for every k with its interval, what SWIFT's pick gains, and AUROC."""
    samples = record["num_candidates"] // record["num_prompts"]
    ratio = "{:.2f} times as often as a random sample ({:.2f} to {:.2f})".format(
        *record["swift_over_random"]
    )
    mean, low, high = record["differences"][f"swift - {COMPARED}"]
    gain = f"{mean:+.3f} over the most likely sample ({interval_text(low, high, '+.3f')}"
    p_value = p_relation(record["p_values"][f"swift - {COMPARED}"])
    return "\n\n".join(
        [
            f"{record['num_prompts']} questions in {record['num_groups']} groups, {samples} "
            f"samples each. {machine_line(record)}",
            _accuracies(record),
            f"SWIFT's pick is right {ratio}, and {gain}, {p_value}).",
            _comparisons(record),
        ]
    )


def _accuracies(record: Evaluation) -> str:
    rows = []
    for method in record["methods"]:
        curve = record["curves"][method["name"]]
        columns = zip(*(curve[key] for key in ("accuracy", "low", "high")), strict=True)
        cells = [
            f"{mean:.3f}<br><sub>{interval_text(low, high)}</sub>" for mean, low, high in columns
        ]
        rows.append((_name(method), *cells))
    return markdown_table(("answer taken", *(f"k = {k}" for k in record["ks"])), rows)


def _comparisons(record: Evaluation) -> str:
    rows = []
    for method in record["methods"]:
        name = method["name"]
        key = f"swift - {name}"
        gain, p = ("", "")
        if key in record["differences"]:
            mean, *bounds = record["differences"][key]
            gain = f"{mean:+.3f} ({interval_text(*bounds, form='+.3f')})"
            p = p_text(record["p_values"][key])
        area, within = ("", "")
        if name in record["auroc"]:
            area = f"{record['auroc'][name]:.3f}"
            mean, *bounds = record["auroc_within"][name]
            within = f"{mean:.3f} ({interval_text(*bounds)})"
        if gain or area:
            rows.append((_name(method), gain, p, area, within))
    headings = ("method", "SWIFT's pick gains", "p", "AUROC", "AUROC within a question")
    return markdown_table(headings, rows)


def _name(method: MethodName) -> str:
    return f"**{method['label']}**" if method["name"] == "swift" else method["label"]
