"""The files of an evaluation: whole, where they should be, and saying the same."""

import json
import sys
from dataclasses import replace

import pytest

from evaluation_cases import PROMPTS, random_prompts
from swift_bon.candidates.files import append_candidates, write_header
from swift_bon.evaluation import reports
from swift_bon.evaluation.comparison import evaluate
from swift_bon.evaluation.reports import report, report_files


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.b.jsonl"
    append_candidates(path, random_prompts(12, 3))
    return path


def test_files(path):
    record, files = report(path, num_draws=50)
    assert record == evaluate(path, num_draws=50)
    assert [file.name for file in files] == [f"a.b.evaluation.{e}" for e in ("json", "png", "html")]
    assert json.loads(files.json.read_text()) == record
    assert files.png.read_bytes().startswith(b"\x89PNG")
    page = files.html.read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "<title>Best of 3: a.b.jsonl</title>" in page
    assert f"{record['swift']:.3f}".lstrip("0") in page
    assert "question 11?" in page


def test_title_says_what_was_asked_of_which_model(path):
    write_header(path, {"model": "org/<name>", "task": "sums", "split": "test"})
    _, files = report(path, num_draws=5)
    assert "<title>Best of 3: sums (test), org/&lt;name&gt;</title>" in files.html.read_text()


def test_output_of_choice(path, tmp_path):
    _, files = report(path, tmp_path / "out" / "v1.0", num_draws=5)
    assert files == report_files(path, tmp_path / "out" / "v1.0")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "v1.0.json",
        "v1.0.png",
        "v1.0.html",
    }


def test_numbers_that_are_none_become_null(path, tmp_path):
    """All right: no AUROC. JSON has no NaN."""
    path = tmp_path / "right.jsonl"
    append_candidates(path, [prompt for prompt in PROMPTS if prompt.id == "c"])
    _, files = report(path, num_draws=5)
    assert json.loads(files.json.read_text())["auroc"]["swift"] is None


def test_a_failure_leaves_the_files_of_before(path, monkeypatch):
    _, files = report(path, num_draws=5)
    before = [file.read_bytes() for file in files]
    with pytest.raises(ValueError, match="reference is 'gold'"):
        report(path, reference="gold")
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("name", ["a.json", "a.header.jsonl"])
def test_the_candidates_are_never_overwritten(tmp_path, name):
    path = tmp_path / name
    append_candidates(path, random_prompts(2, 2))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="would be written in place of the candidates"):
        report(path, tmp_path / "a" if name == "a.json" else tmp_path / "a.header.header")
    assert path.read_bytes() == before


def test_lines_that_are_added_meanwhile_are_left_for_the_next_time(path, monkeypatch):
    """A collect may be running."""
    evaluate_file = reports.evaluate_file

    def add_then_evaluate(*args):
        append_candidates(path, [replace(p, id="new " + p.id) for p in random_prompts(2, 3)])
        return evaluate_file(*args)

    monkeypatch.setattr(reports, "evaluate_file", add_then_evaluate)
    record, files = report(path, num_draws=5)
    assert record["num_prompts"] == 12
    assert "new q0" not in files.html.read_text()


def test_lines_added_to_a_file_too_large_to_hold_are_left_too(path, monkeypatch):
    """It is read twice, to the same end."""
    monkeypatch.setattr(reports, "HELD_BYTES", 0)
    test_lines_that_are_added_meanwhile_are_left_for_the_next_time(path, monkeypatch)


@pytest.mark.parametrize(("held_bytes", "times"), [(2**26, 1), (0, 2)])
def test_a_small_file_is_read_once(path, monkeypatch, held_bytes, times):
    read, calls = reports.read_prompts, []
    monkeypatch.setattr(reports, "HELD_BYTES", held_bytes)
    monkeypatch.setattr(reports, "read_prompts", lambda *a, **k: calls.append(a) or read(*a, **k))
    _, files = report(path, num_draws=5)
    assert len(calls) == times
    assert "question 11?" in files.html.read_text()


def test_bars_are_drawn_and_can_be_silenced(path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    report(path, num_draws=5)
    drawn = capsys.readouterr().err
    assert all(f"{what}: " in drawn for what in ("reading", "picking", "intervals"))
    report(path, num_draws=5, show_progress=False)
    evaluate(path, num_draws=5, show_progress=False)
    assert capsys.readouterr().err == ""


def test_missing_matplotlib_is_said_before_the_work(path, monkeypatch):
    def missing():
        raise ModuleNotFoundError("matplotlib is missing")

    monkeypatch.setattr(reports, "figure_class", missing)
    monkeypatch.setattr(reports, "evaluate_file", None)
    with pytest.raises(ModuleNotFoundError, match="matplotlib is missing"):
        report(path)
