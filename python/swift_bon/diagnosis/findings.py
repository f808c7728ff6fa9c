"""What an examination found: small frozen records."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was compared.

    >>> from swift_bon import Check
    >>> check = Check("scores", "passed", "16 scores as an offline forward gives them", 2e-6, 4e-5)
    >>> check.measured <= check.allowed
    True
    """

    name: str
    status: Status
    words: str  # what was compared and found, or why it was skipped
    measured: float | None = None  # None where it is not a number
    allowed: float | None = None  # the largest `measured` that passes
    advice: str = ""  # what to do, where it failed


@dataclass(frozen=True)
class DoctorReport:
    """All checks of an examination, in their order.

    >>> from swift_bon import Check, DoctorReport
    >>> report = DoctorReport("gpt2", "float32", (Check("threads", "passed", "both the same"),))
    >>> report.passed, report.check("threads").words
    (True, 'both the same')
    """

    model: str
    dtype: str  # of its hidden states
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """No check failed."""
        return not any(check.status == "failed" for check in self.checks)

    @property
    def refusal(self) -> str | None:
        """Why best-of-N refuses this model or these options; None where it does not."""
        check = self.check("accepted")
        return check.words if check.status == "failed" else None

    def check(self, name: str) -> Check:
        """The one of that name.

        Raises:
            KeyError: there is none.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of plain values, for `json.dumps`."""
        return {"passed": self.passed, **asdict(self)}
