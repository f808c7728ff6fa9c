"""What the tests of the doctor share."""

from swift_bon import doctor
from tiny_models import tiny_tokenizer

OPTIONS = {"num_return_sequences": 2, "max_new_tokens": 6, "show_progress": False}
NAMES = (
    *("prompts", "head", "accepted", "input", "repeats", "states", "cache", "scores", "features"),
    *("text", "batches", "prefill", "threads", "cost"),
)


def examine(model, tokenizer=None, head=None, **changes):
    """A report on a tiny model."""
    return doctor(model, tokenizer or tiny_tokenizer(), head, **{**OPTIONS, **changes})


def with_status(report, status: str) -> set[str]:
    return {check.name for check in report.checks if check.status == status}


def assert_green(report, skipped: tuple[str, ...] = ("head",)) -> None:
    reds = [check for check in report.checks if check.status == "failed"]
    assert not reds, reds
    assert with_status(report, "skipped") == set(skipped)
    assert tuple(check.name for check in report.checks) == NAMES
