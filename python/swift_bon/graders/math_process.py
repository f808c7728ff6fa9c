"""A child process for mathematics, killed when it takes too long and started again when needed.

SymPy can hang for hours, or fill the memory, on an answer as short as 9^{9^{9^9}}. math-verify's
own timeouts are signals: they work in the main thread only, and not while C code runs.
"""

import atexit
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

WORKER = Path(__file__).with_name("math_worker.py")
START_S = 120.0  # to import SymPy on a busy machine
# By its path and with this process's module search path: no need for a main guard, nor for the
# package to be importable there.
BOOT = (
    "import runpy, sys; path, timeout = sys.argv[1:3]; sys.path[:] = sys.argv[3:]; "
    "sys.argv[1:] = [timeout]; runpy.run_path(path, run_name='__main__')"
)


class MathProcess:
    """One worker, for one request at a time; safe to use from several threads.

    Args:
        timeout_s: after which the worker is killed and the request has no answer.
    """

    _lock: threading.Lock
    _process: subprocess.Popen[str] | None

    def __init__(self, timeout_s: float):
        self.timeout_s = timeout_s
        self._forget()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):  # a forked child must not read its parent's answers
            os.register_at_fork(after_in_child=self._forget)

    def ask(self, *request: str) -> list | None:
        """The worker's answer, or None where there is none: it hung, or ran out of memory.

        Raises:
            ModuleNotFoundError: math-verify is not installed.
            RuntimeError: the worker does not start.
        """
        with self._lock:
            try:
                if self._process is None:
                    self._process = self._start()
                line = self._exchange(json.dumps(request), self.timeout_s)
            except BaseException:  # an interrupt: the answer that is still to come is nobody's
                self._stop()
                raise
            if line is None:
                self._stop()
                return None
            return json.loads(line)

    def close(self) -> None:
        """End the worker; the next request starts another."""
        with self._lock:
            self._stop()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._process = None

    def _start(self) -> subprocess.Popen[str]:
        if importlib.util.find_spec("math_verify") is None:
            raise ModuleNotFoundError(
                "grading mathematics needs math-verify; in the folder of this project run: "
                "pip install '.[tasks]'"
            )
        self._process = subprocess.Popen(
            [sys.executable, "-c", BOOT, str(WORKER), str(self.timeout_s), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
        )
        if self._exchange(None, START_S) is None:
            code = self._process.wait(START_S)
            raise RuntimeError(
                f"the process that grades mathematics ended with {code} before it was ready; "
                "python -c 'import math_verify' may say why"
            )
        return self._process

    def _exchange(self, request: str | None, limit_s: float) -> str | None:
        """Send a line and wait for the next; None if the worker ended, or had to be killed."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        timer = threading.Timer(limit_s, process.kill)
        timer.daemon = True
        timer.start()
        try:
            if request is not None:
                process.stdin.write(request + "\n")
                process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            return None
        finally:
            timer.cancel()
        return line if line.endswith("\n") else None

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stdin):
            with contextlib.suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
