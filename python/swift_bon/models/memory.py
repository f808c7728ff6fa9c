"""What to do when memory runs out: half the batch, once what failed has been freed."""

import gc
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def run_or_free(run: Callable[[], Result], batch: Sequence) -> Result | None:
    """What `run` gives for a batch; None where memory ran out, and a half of it may be tried.

    Raises:
        what `run` raises: another error, or out of memory for a batch of one.
    """
    try:
        return run()
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or len(batch) == 1:
            raise
    gc.collect()  # outside the handler, so that the failed batch is not kept by its traceback
    torch.cuda.empty_cache()
    return None
