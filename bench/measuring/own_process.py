"""A function in a process of its own, and the memory that it took."""

import multiprocessing
from collections.abc import Callable

POLL_S = 0.02


def in_own_process(function: Callable[..., dict], *arguments) -> dict:
    """What the function returns, with the peaks of a new process that does nothing else.

    `peak_resident_bytes` counts pages of mapped files, which the system takes back when it needs
    them; `peak_anonymous_bytes` is what the process really holds, looked at every 20 ms. Both are
    None where the system does not tell.

    Raises:
        RuntimeError: the process ended without a result; its error stands on stderr.
    """
    context = multiprocessing.get_context("spawn")  # a fork would begin with our memory
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, function, arguments))
    process.start()
    sender.close()
    anonymous_kib = 0
    try:
        while not receiver.poll(POLL_S):
            seen = proc_number(f"/proc/{process.pid}/status", "RssAnon")
            anonymous_kib = max(anonymous_kib, seen or 0)
        result, resident_kib = receiver.recv()
        process.join()
    except EOFError as error:
        process.join()
        raise RuntimeError(f"the process ended with exit code {process.exitcode}") from error
    finally:
        process.kill()  # where this one was interrupted
    return result | {
        "peak_resident_bytes": resident_kib and resident_kib * 1024,
        "peak_anonymous_bytes": anonymous_kib * 1024 or None,
    }


def _send(sender, function: Callable[..., dict], arguments: tuple) -> None:
    result = function(*arguments)
    # not ru_maxrss: it begins with the peak of the process that started this one
    sender.send((result, proc_number("/proc/self/status", "VmHWM")))


def proc_number(path: str, name: str) -> int | None:
    """The number after a name in a file of `/proc`; None where there is no such line."""
    try:
        with open(path, encoding="utf-8") as file:
            numbers = [line.split()[1] for line in file if line.startswith(f"{name}:")]
    except OSError:  # no such system, or the process has ended
        return None
    return int(numbers[0]) if numbers else None
