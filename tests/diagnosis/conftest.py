"""What all tests of the doctor do without."""

import pytest

from swift_bon.diagnosis import check_cost


@pytest.fixture(autouse=True)
def measured_once(monkeypatch):
    """Time is measured once, not in turns: on no model of these does scoring cost much."""
    monkeypatch.setattr(check_cost, "TURNS", 1)
