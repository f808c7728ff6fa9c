"""What ended a command: one line, or with --debug the traceback before it."""

import pytest
from typer.testing import CliRunner

from swift_bon.cli import app
from swift_bon.cli.terminal import readable_errors
from swift_bon.models import loading

MISSING = ("evaluate", "/no/such/file.jsonl")


def test_one_line_is_the_default():
    result = CliRunner().invoke(app, MISSING)
    assert result.exit_code == 1
    assert result.stderr == (
        "error: there is no candidates file /no/such/file.jsonl; make one with swift-bon collect\n"
    )


def test_debug_prints_the_traceback_first():
    result = CliRunner().invoke(app, ["--debug", *MISSING])
    assert result.exit_code == 1
    first, *_, last = result.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last.startswith("error: there is no candidates file")
    assert "in check_file" in result.stderr
    assert "Traceback" not in CliRunner().invoke(app, MISSING).stderr  # that of the next


@pytest.mark.parametrize("debug", [False, True])
def test_ctrl_c(monkeypatch, debug):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "load_model", interrupt)
    result = CliRunner().invoke(app, [*(["--debug"] if debug else []), "generate", "abc"])
    assert result.exit_code == 130
    assert result.stderr.endswith("interrupted\n")
    assert ("Traceback" in result.stderr) == debug
    assert debug or result.stderr == "interrupted\n"


def test_a_reader_who_has_enough_is_no_error(capsys):
    with pytest.raises(BrokenPipeError), readable_errors():
        raise BrokenPipeError
    assert capsys.readouterr().err == ""
