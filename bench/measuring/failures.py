"""What may go wrong with one input of a benchmark without ending the others."""

try:
    from triton.errors import TritonError  # of registers, of ptxas: not a RuntimeError
except ModuleNotFoundError:  # no Triton for this machine
    RUN_ERRORS: tuple[type[Exception], ...] = (RuntimeError,)
else:
    RUN_ERRORS = (RuntimeError, TritonError)

WRONG_ANSWER = "wrong answer"  # why a form was left out


def why(error: Exception) -> str:
    """An error in one line."""
    first_line, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first_line[:200]}"


def note_failure(message: str, failures: list[str]) -> None:
    """Keep it for the end, where it is the exit code, and say it now."""
    failures.append(message)
    print(f"WRONG: {message}", flush=True)
