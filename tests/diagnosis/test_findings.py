"""What a report says of its checks."""

import json

import pytest

from swift_bon import Check, DoctorReport

REFUSED = Check("accepted", "failed", "refused: its class", advice="another class")
SKIPPED = Check("scores", "skipped", "says nothing where 'accepted' has failed")
PASSED = Check("accepted", "passed", "12 candidates", 0.5, 1.0)


def test_a_report_with_a_red_check_has_not_passed():
    report = DoctorReport("tiny", "float32", (REFUSED, SKIPPED))
    assert not report.passed
    assert report.refusal == "refused: its class"


def test_what_is_skipped_is_no_failure():
    report = DoctorReport("tiny", "float32", (PASSED, SKIPPED))
    assert report.passed
    assert report.refusal is None


def test_json_holds_all_of_it():
    report = DoctorReport("tiny", "float32", (PASSED, SKIPPED))
    record = json.loads(json.dumps(report.to_json()))
    assert record["passed"] is True
    assert (record["model"], record["dtype"]) == ("tiny", "float32")
    assert tuple(Check(**check) for check in record["checks"]) == report.checks


def test_an_unknown_check_is_a_key_error():
    with pytest.raises(KeyError, match="temperature"):
        DoctorReport("tiny", "float32", (PASSED,)).check("temperature")
