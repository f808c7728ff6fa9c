"""What a call asks of the host: no wait, one launch, no memory that was not there before."""

import pytest
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from reference_inputs import DEVICE, MASKS, cumulative_lengths, random_head, random_layers
from swift_kernels import RunningScore, score_candidates, score_packed

SHAPE = (4, 3, 100, 256)


def score_call(**kwargs):
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    layers, mask = random_layers(SHAPE, torch.bfloat16), MASKS["left_padding"](*SHAPE[1:3])
    return lambda: score_candidates(layers, head, mask, **kwargs)


def packed_call():
    head = random_head(SHAPE[0], SHAPE[3]).requires_grad_(False)
    layers = random_layers((SHAPE[0], 300, SHAPE[3]), torch.bfloat16)
    cu_seqlens = cumulative_lengths([100, 0, 150, 50])
    mask = torch.arange(300, device=DEVICE) % 3 > 0
    return lambda: score_packed(layers, head, cu_seqlens, mask, return_token_scores=True)


def step_call(num_candidates=5):
    score = RunningScore(random_head(4, 256), num_candidates)
    step = random_layers((4, num_candidates, 1, 256), torch.bfloat16)
    active = torch.ones(num_candidates, dtype=torch.bool, device=DEVICE)
    return lambda: score.update(step, active)


def train_call():
    head = random_head(SHAPE[0], SHAPE[3])
    layers, mask = random_layers(SHAPE, torch.bfloat16), MASKS["left_padding"](*SHAPE[1:3])
    return lambda: score_candidates(layers, head, mask).sum().backward()


def packed_train_call():
    head = random_head(SHAPE[0], SHAPE[3])
    layers = random_layers((SHAPE[0], 300, SHAPE[3]), torch.bfloat16)
    cu_seqlens = cumulative_lengths([100, 50, 150])
    return lambda: score_packed(layers, head, cu_seqlens).sum().backward()


CALLS = {
    "score": score_call,
    "token_scores": lambda: score_call(return_token_scores=True),
    "packed": packed_call,
    "step": step_call,
    "train": train_call,
    "packed_train": packed_train_call,
}


def warm(call):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    return call


@pytest.mark.parametrize("case", CALLS)
def test_the_host_never_waits(case):
    call = warm(CALLS[case]())
    torch.cuda.set_sync_debug_mode("error")
    try:
        call()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def device_work(call) -> list[str]:
    """Names of the kernels, copies and fills of one call."""
    for _ in range(2):  # the first profile of a process may miss some
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            call()
            torch.cuda.synchronize()
    events = [event for event in profiler.events() if event.device_type == DeviceType.CUDA]
    return [event.name for event in events if "Sync" not in event.name]


ONE_KERNEL = {
    "score": (score_call, "score_kernel"),
    "step_of_1": (lambda: step_call(1), "step_kernel"),
    "step_of_256": (lambda: step_call(256), "step_kernel"),
}


@pytest.mark.parametrize("case", ONE_KERNEL)
def test_one_launch_and_nothing_else(case):
    make, kernel = ONE_KERNEL[case]
    assert device_work(warm(make())) == [kernel]


@pytest.mark.parametrize("case", ["train", "packed_train"])
def test_one_pass_forward_and_one_backward(case):
    names = device_work(warm(CALLS[case]()))
    assert names.count("score_kernel") == names.count("gradient_kernel") == 1
    assert not any("DtoH" in name or "HtoD" in name for name in names)


def num_allocations() -> int:
    return torch.cuda.memory_stats()["allocation.all.allocated"]


@pytest.mark.parametrize("num_candidates", [1, 5, 256])
def test_an_update_allocates_nothing(num_candidates):
    call = warm(step_call(num_candidates))
    before = num_allocations()
    for _ in range(20):
        call()
    assert num_allocations() == before


def test_scores_allocate_their_outputs_only():
    call = warm(score_call())
    before = num_allocations()
    call()
    assert num_allocations() - before == 4  # scores, gate sums, rewards, gates
