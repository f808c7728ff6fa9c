"""Proves on the user's own model that what is scored is right, with code of its own."""

from typing import TYPE_CHECKING

from swift_bon.lazy import lazy_names

if TYPE_CHECKING:
    from swift_bon.diagnosis.examination import doctor
    from swift_bon.diagnosis.findings import Check, DoctorReport

__all__ = [
    "Check",
    "DoctorReport",
    "doctor",
]

_MODULES = {
    "Check": "swift_bon.diagnosis.findings",
    "DoctorReport": "swift_bon.diagnosis.findings",
    "doctor": "swift_bon.diagnosis.examination",
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
