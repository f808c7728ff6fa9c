"""What was found, in sentences: each follows from a difference with its interval and p-value."""

from typing import NamedTuple

from swift_bon.evaluation.page.emphasis import best_of, methods_of
from swift_bon.evaluation.page.formats import escape, finite, interval, p_value, share, signed
from swift_bon.evaluation.record_types import Evaluation, MethodName, accuracy_of
from swift_bon.statistics.resampling import FEW_GROUPS

ALWAYS = ("mean_logprob", "majority_vote", "random")  # whom SWIFT's pick is held against
SINGLE = ("free", "vote", "reward")
ARTICLES = {"mean_logprob": "the ", "random": "a ", "majority_vote": "the "}


class Difference(NamedTuple):
    """Of two accuracies over the same questions."""

    mean: float | None
    low: float | None
    high: float | None
    p: float | None

    def turned(self) -> "Difference":
        """Of the second to the first."""
        return Difference(_minus(self.mean), _minus(self.high), _minus(self.low), self.p)

    def render(self) -> str:
        """+.090 (+.050 to +.133, p = .0002)"""
        return signed(self.mean) + self.inside()

    def inside(self) -> str:
        """What stands behind the number, in brackets."""
        bounds = [interval([self.low, self.high], signed)] * (finite(self.low) is not None)
        inside = ", ".join(filter(None, [*bounds, p_value(self.p)]))
        return f" ({inside})" * bool(inside)

    def verdict(self, confidence: float) -> int:
        """1 or -1 where interval and p-value agree that it is above or below zero, else 0."""
        low, high = finite(self.low), finite(self.high)
        if low is None or high is None:
            return 0
        if self.p is not None and not self.p < 1 - confidence:
            return 0
        return (low > 0) - (high < 0)


def _minus(value: float | None) -> float | None:
    number = finite(value)
    return None if number is None else -number


def difference(record: Evaluation, first: str, second: str) -> Difference | None:
    """As it stands in the record, in this order or in the other one."""
    differences, p_values = record.get("differences", {}), record.get("p_values", {})
    name, turned = f"{first} - {second}", f"{second} - {first}"
    if name in differences:
        mean, low, high = differences[name]
        return Difference(mean, low, high, p_values.get(name))
    if turned in differences:
        mean, low, high = differences[turned]
        return Difference(mean, low, high, p_values.get(turned)).turned()
    return None


def confidence_of(record: Evaluation) -> float:
    return record.get("confidence", 0.95)


def facts(record: Evaluation | None, num_questions: int) -> str:
    """What the page is about, under its title."""
    if record is None:
        noun = "question" if num_questions == 1 else "questions"
        return f'<p class="facts">{num_questions:,} {noun}</p>'
    source = record.get("candidates") or {}
    parts = [escape(source[name]) for name in ("model", "task", "split") if source.get(name)]
    parts += [f"{record['num_prompts']:,} questions", f"{record['num_candidates']:,} candidates"]
    sampling = source.get("sampling")
    if isinstance(sampling, dict) and sampling:
        parts.append(escape(", ".join(f"{name} {value}" for name, value in sampling.items())))
    return f'<p class="facts">{"".join(f"<span><bdi>{part}</bdi></span>" for part in parts)}</p>'


def footer(record: Evaluation | None) -> str:
    """How the numbers came about."""
    made = "Made by swift-kernels. Nothing on this page is loaded from elsewhere."
    if record is None:
        return f"<p>{made}</p>"
    drawn = "questions"
    if record.get("num_groups") not in (None, record["num_prompts"]):
        drawn = f"{record['num_groups']:,} groups of related questions"
    text = f"Intervals hold {confidence_of(record):.0%}"
    if record.get("num_groups", FEW_GROUPS) < FEW_GROUPS:
        text += f" of more than these {record['num_groups']} groups: here they are too narrow"
    if record.get("num_draws"):
        text += f", from {record['num_draws']:,} draws of {drawn}, the same ones for every method"
    if "seed" in record:
        text += f" (seed {escape(record['seed'])})"
    if record.get("p_values"):
        text += "; p-values are for each comparison alone, not corrected for their number"
    return f"<p>{text}.</p><p>{made}</p>"


def summary_section(record: Evaluation) -> str:
    """The key sentence, then the other comparisons."""
    methods = {method["name"]: method for method in methods_of(record)}
    if "swift" not in methods:
        rest = "No candidate has a score of SWIFT; <code>swift-bon score FILE --head HEAD</code>"
        return f'<section class="summary"><p class="lead">{rest} adds it.</p></section>'
    leads = {name: difference(record, "swift", name) for name in _rivals(record, methods)}
    known = {name: d for name, d in leads.items() if d and finite(d.mean) is not None}
    lead = _key_sentence(record, methods, known)
    items = [
        f"<li>{_comparison(record, methods, name, d)}</li>" for name, d in list(known.items())[1:]
    ]
    listed = f'<ul class="verdicts">{"".join(items)}</ul>' if items else ""
    return (
        '<section class="summary" aria-label="what was found">'
        f'<p class="lead">{lead}</p>{listed}{_bounds(record, methods)}</section>'
    )


def _rivals(record: Evaluation, methods: dict[str, MethodName]) -> list[str]:
    """The usual ones, the best of the other single ways, and the best combination."""
    single = [n for n, m in methods.items() if m["family"] in SINGLE and n != "swift"]
    together = [n for n, m in methods.items() if m["family"] == "combination"]
    best = [best_of(record, single), best_of(record, together)]
    return list(dict.fromkeys(n for n in [*ALWAYS, *best] if n in methods))


def _key_sentence(
    record: Evaluation, methods: dict[str, MethodName], leads: dict[str, Difference]
) -> str:
    """SWIFT's pick is right for .385 of the questions (.337 to .435): +.090 over ..."""
    bounds = record.get("intervals", {}).get("swift")
    sentence = f"{_rival(methods['swift'])} is right for {share(record['swift'])} of the questions"
    sentence += f" ({interval(bounds or [])})" * bool(bounds)
    if not leads:
        return sentence + "."
    name, against = next(iter(leads.items()))
    rival = _rival(methods[name])
    return (
        sentence
        + {
            1: f": {signed(against.mean)} over {rival}{against.inside()}.",
            0: f". That is not clearly different from {rival}: {against.render()}.",
            -1: f": {signed(against.mean)} against {rival}, which picks better{against.inside()}.",
        }[against.verdict(confidence_of(record))]
    )


def _comparison(
    record: Evaluation, methods: dict[str, MethodName], name: str, against: Difference
) -> str:
    """One more line; a combination is held against SWIFT's pick, not the other way round."""
    rival, level = _rival(methods[name]), share(accuracy_of(record, name))
    verdict = against.verdict(confidence_of(record))
    if methods[name]["family"] == "combination":
        gain = against.turned()
        end = {
            1: "less than SWIFT alone",
            0: "not clearly different from SWIFT alone",
            -1: "more than SWIFT alone",
        }[verdict]
        return f"the best combination, {rival}, is right for {level}, {end}: {gain.render()}"
    words = {1: "better than", 0: "no clear difference to", -1: "worse than"}[verdict]
    return f"{words} {rival}, right for {level}: {against.render()}"


def _rival(method: MethodName) -> str:
    """A label inside a sentence."""
    name = escape(method["label"].split(" (")[0])
    return f"{ARTICLES.get(method['name'], '')}<bdi>{name}</bdi>"


def _bounds(record: Evaluation, methods: dict[str, MethodName]) -> str:
    if "oracle" not in methods or finite(record["oracle"]) is None:
        return ""
    return (
        f'<p class="aside">For {share(record["oracle"])} of the questions some candidate is right '
        "(oracle): no way to pick can pass that.</p>"
    )
