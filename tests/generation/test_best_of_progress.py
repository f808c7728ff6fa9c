"""The bar of `best_of_n`: on a terminal, over several batches, from the first one on."""

import io
import sys

import pytest
from transformers import LogitsProcessor

from best_of_cases import run


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal_in_place_of_stderr(monkeypatch) -> Terminal:
    """Not as a fixture: pytest puts its own back before a test begins."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


class Shown(LogitsProcessor):
    """What the terminal shows while the first token is sampled."""

    def __init__(self, terminal):
        self.terminal, self.text = terminal, None

    def __call__(self, input_ids, scores):
        self.text = self.terminal.getvalue() if self.text is None else self.text
        return scores


def test_a_bar_is_there_before_the_first_token(monkeypatch):
    terminal = terminal_in_place_of_stderr(monkeypatch)
    shown = Shown(terminal)
    run(batch_size=5, logits_processor=[shown])
    assert "sampling:   0%" in shown.text and "0/12" in shown.text
    assert "12/12" in terminal.getvalue()


@pytest.mark.parametrize("options", [{"show_progress": False}, {"batch_size": 12}], ids=str)
def test_no_bar_where_none_is_wanted_or_one_batch_is_all(options, monkeypatch):
    terminal = terminal_in_place_of_stderr(monkeypatch)
    run(**{"batch_size": 5, **options})
    assert terminal.getvalue() == ""


def test_no_bar_without_a_terminal(capfd):
    run(batch_size=5)
    assert capfd.readouterr().err == ""
