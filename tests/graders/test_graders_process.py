"""The child process for mathematics: killed, started again, and never mixed up."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from swift_bon.graders import math_process
from swift_bon.graders.math_process import MathProcess

# In the place of math-verify, so that each fault can be had at will and at once.
FAKE = """
import os, sys, time

class LatexExtractionConfig:
    def __init__(self, **settings): ...

def parse(boxed, **settings):
    text = boxed[len("\\\\boxed{"):-1]
    if text == "sleep":
        time.sleep(60)
    elif text == "die":
        os._exit(3)
    elif text == "memory":
        text = "x" * (3 << 30)
    elif text == "print":
        print("[true, null]", flush=True)
        os.write(1, b"[true, null]\\n")
    elif text == "nothing":
        return []
    return [len(text), text]

def verify(gold, answer, **settings):
    return gold == answer
"""


@pytest.fixture
def process(tmp_path, monkeypatch):
    (tmp_path / "math_verify.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "math_verify", raising=False)
    process = MathProcess(timeout_s=1.0)
    yield process
    process.close()


def same(process, text):
    return process.ask("compare", text, text) == [True, None]


def test_answers(process):
    assert same(process, "a")
    assert process.ask("read", "a") == [True]
    assert process.ask("read", "nothing") == [False]
    assert same(process, "\N{GREEK SMALL LETTER PI}\n\ud800")


@pytest.mark.parametrize("fault", ["sleep", "die", "memory"])
def test_a_fault_ends_one_request(process, fault):
    if fault == "memory":
        pytest.importorskip("resource")
        process.timeout_s = 30.0
    if fault == "sleep":  # started with another limit, so that it is not its own alarm
        process.timeout_s = 60.0
    assert same(process, "a")
    if fault == "sleep":
        process.timeout_s = 1.0
    worker = process._process
    start = time.perf_counter()
    assert process.ask("read", fault) is None
    assert time.perf_counter() - start < 20
    assert worker.returncode is not None  # ended, and waited for
    assert same(process, "a")


def test_the_worker_is_kept(process):
    assert same(process, "a")
    worker = process._process
    assert same(process, "b") and process._process is worker


def test_what_a_library_prints_is_no_answer(process):
    assert process.ask("read", "print") == [True]
    assert process.ask("read", "nothing") == [False]


def test_a_worker_that_was_killed_between_requests(process):
    assert same(process, "a")
    process._process.kill()
    process._process.wait()
    assert process.ask("read", "a") is None
    assert same(process, "a")


def test_after_an_interrupt_no_answer_is_taken_for_another(process, monkeypatch):
    assert same(process, "a")
    exchange = process._exchange

    def interrupted(request, limit_s):
        process._process.stdin.write(request + "\n")
        process._process.stdin.flush()
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_exchange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.ask("read", "a")
    monkeypatch.setattr(process, "_exchange", exchange)
    assert process.ask("read", "nothing") == [False]


def test_threads_get_their_own_answers(process):
    wrong = []

    def work(number):
        for count in range(20):
            text = f"{number}-{count}" if (number + count) % 2 else "nothing"
            if process.ask("read", text) != [text != "nothing"]:
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_its_own(process):
    assert same(process, "a")
    worker = process._process
    with process._lock:  # as if another thread were asking
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # a child that waits for its parent's lock would wait for ever
            is_right = process._process is None and same(process, "a")
            process.close()
            os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert process._process is worker and same(process, "b")


def test_without_math_verify(monkeypatch):
    monkeypatch.setattr(math_process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"needs math-verify.*pip install '\.\[tasks\]'"):
        MathProcess(1.0).ask("read", "1")


def test_a_worker_that_does_not_start(process, tmp_path):
    (tmp_path / "math_verify.py").write_text("raise SystemExit(7)")
    with pytest.raises(RuntimeError, match="ended with 7 before it was ready"):
        process.ask("read", "1")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs the signals of POSIX")
def test_a_worker_ends_with_its_parent(process, tmp_path):
    """Also one that hangs: its alarm ends it."""
    script = tmp_path / "script.py"  # without a main guard
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, threading
            from swift_bon.graders.math_process import MathProcess
            process = MathProcess(1.0)
            process.ask("read", "a")
            print(process._process.pid, flush=True)
            process._process.stdin.write('["read", "sleep"]\\n')
            process._process.stdin.flush()
            os.kill(os.getpid(), 9)
            """
        )
    )
    paths = os.pathsep.join(sys.path)
    run = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    worker = int(run.stdout)
    deadline = time.monotonic() + 20
    while _is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
