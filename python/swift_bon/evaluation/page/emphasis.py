"""Which methods stand out in a picture of many."""

from collections.abc import Sequence

from swift_bon.candidates.score_names import label
from swift_bon.evaluation.page.formats import finite
from swift_bon.evaluation.record_types import Evaluation, MethodName, accuracy_of

# A method keeps its colour from one picture to the next: a place in `plotting.PALETTE`.
NAMED = {"swift": 0, "mean_logprob": 1, "majority_vote": 2, "swift_vote": 3}
BEST_OF_FAMILY = {"combination": 4, "reward": 5}
BANDED = ("swift", "mean_logprob")


def methods_of(record: Evaluation) -> list[MethodName]:
    """Name, label and family of each method, in the order of the tables."""
    named: list[MethodName] = record.get("methods") or [
        {"name": name, "label": label(name), "family": "free"} for name in record.get("curves", {})
    ]
    return [method for method in named if method["name"] in record]


def colour_places(record: Evaluation) -> dict[str, int]:
    """Methods that stand out, with the place of their colour. Of a family its best one."""
    methods = methods_of(record)
    places = {m["name"]: NAMED[m["name"]] for m in methods if m["name"] in NAMED}
    for family, place in BEST_OF_FAMILY.items():
        best = best_of(record, [m["name"] for m in methods if m["family"] == family])
        if best is not None:
            places[best] = place
    return places


def best_of(record: Evaluation, names: Sequence[str]) -> str | None:
    """The name with the highest accuracy, of equal ones the first; None where none has one."""
    accuracies = {name: finite(accuracy_of(record, name)) for name in names}
    known = {name: accuracy for name, accuracy in accuracies.items() if accuracy is not None}
    return max(known, key=known.__getitem__, default=None)


def bounds_of(record: Evaluation) -> set[str]:
    """Methods between which every other one lies: drawn dashed."""
    return {m["name"] for m in methods_of(record) if m["family"] == "bound"}


def banded_of(record: Evaluation) -> set[str]:
    """Methods whose interval is drawn: more than two bands would hide each other."""
    standing_out = colour_places(record)
    return {name for name in standing_out if name in BANDED} or set(list(standing_out)[:1])


def looks_of(record: Evaluation) -> dict[str, str]:
    """The class of each method in the style of the page."""
    bounds = bounds_of(record)
    names = [method["name"] for method in methods_of(record)]
    looks = {name: "bound" if name in bounds else "plain" for name in names}
    return looks | {name: f"c{place}" for name, place in colour_places(record).items()}
