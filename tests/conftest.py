"""Without a GPU every kernel test runs in Triton's interpreter."""

import os
import threading

import pytest
import torch
from hypothesis import settings
from tqdm import tqdm

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
# tqdm's own lock is shared with forked processes: one killed while it draws would keep it for ever.
tqdm.set_lock(threading.RLock())
tqdm.monitor_interval = 0  # no thread that could hold the lock during a fork

settings.register_profile("suite", deadline=None)  # a busy machine is no error
settings.load_profile("suite")

# What only a GPU can show, and what only the interpreter can.
collect_ignore = ["kernels/test_program_order.py" if torch.cuda.is_available() else "kernels/gpu"]


@pytest.fixture
def workspaces(monkeypatch):
    """The scratch memory and the counters of each launch of the test, in their order.

    The memory holds NaN before. When the test is over, all counters are back at 0, where the next
    launch needs them.
    """
    from swift_kernels.fused import score as score_kernel
    from swift_kernels.fused import step as step_kernel
    from swift_kernels.fused import workspace

    given = []

    def record(*args, **kwargs):
        scratch, counters = workspace.workspace(*args, **kwargs)
        given.append((scratch.fill_(float("nan")), counters))
        return given[-1]

    for module in (score_kernel, step_kernel):
        monkeypatch.setattr(module, "workspace", record)
    yield given
    assert not any(counters.any() for _, counters in given)


@pytest.fixture
def many_splits(monkeypatch, workspaces):
    """Splits of one step where there are enough multiprocessors: `many_splits(50)` has them."""
    from swift_kernels import launch
    from swift_kernels.fused import gradient as gradient_kernel
    from swift_kernels.fused import score as score_kernel
    from swift_kernels.fused import step as step_kernel

    monkeypatch.setattr(launch, "MIN_STEPS", 1)

    def set_multiprocessors(number: int) -> None:
        for module in (score_kernel, step_kernel, gradient_kernel):
            monkeypatch.setattr(module, "num_multiprocessors", lambda device: number)

    return set_multiprocessors


@pytest.fixture
def forwarded(monkeypatch) -> list[int]:
    """How many candidates each forward of the test had."""
    from swift_bon.models import forward

    counts = []
    run = forward._forward

    def record(model, rendered, responses, layers, pad_id):
        counts.append(len(responses))
        return run(model, rendered, responses, layers, pad_id)

    monkeypatch.setattr(forward, "_forward", record)
    return counts
