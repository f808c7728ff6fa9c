"""Ctrl-C at any point: a KeyboardInterrupt out of the n-th event of some files."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType, ModuleType


class Interrupter:
    """Counts the calls, lines and returns of some modules, and may interrupt at one of them.

    Args:
        modules: whose code is watched.
        at: which event is interrupted, from 0; None only counts.
    """

    def __init__(self, modules: Iterable[ModuleType], at: int | None = None):
        self.files = {module.__file__ for module in modules}
        self.at = at
        self.places: list[tuple[str, int, str]] = []  # file, line, kind of each event

    def __call__(self, frame: FrameType, kind: str, value: object):
        code = frame.f_code
        if code.co_filename not in self.files or code.co_name == "<genexpr>":
            return None  # one that is left unfinished swallows what is raised in it
        self.places.append((Path(code.co_filename).name, frame.f_lineno, kind))
        if len(self.places) - 1 == self.at:
            raise KeyboardInterrupt(self.places[-1])
        return self

    def run(self, function: Callable[[], object]) -> BaseException | None:
        """The interrupt that came out of the call, with its traceback, as a notebook keeps it."""
        sys.settrace(self)
        try:
            function()
        except KeyboardInterrupt as interrupt:
            return interrupt
        finally:
            sys.settrace(None)
        return None


def places_of(modules: Iterable[ModuleType], function: Callable[[], object]) -> list[tuple]:
    counter = Interrupter(modules)
    assert counter.run(function) is None
    return counter.places


def first_times(places: list[tuple]) -> list[int]:
    """Of each place the first time that it is reached."""
    return sorted({place: index for index, place in reversed([*enumerate(places)])}.values())
