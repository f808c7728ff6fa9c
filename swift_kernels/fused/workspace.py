"""Memory that a launch needs while it runs: partial sums, and counters of who has arrived."""

import torch
from torch import Tensor

_workspaces: dict[tuple[torch.device, int], tuple[Tensor, Tensor]] = {}


def workspace(
    num_floats: int, num_counters: int, device: torch.device, *, is_shared: bool = True
) -> tuple[Tensor, Tensor]:
    """At least that many float32, of any value, and int32 zeros, which the kernel leaves as zeros.

    Shared memory is kept for each stream for ever (8 bytes a token and program that shares it), and
    its launches run one after the other, so that a call neither allocates nor clears. What a CUDA
    graph captures may later run beside anything, and gets its own. The first call must not lie in a
    pool of memory that somebody else discards (`torch.cuda.use_mem_pool`).
    """
    if not is_shared or device.type != "cuda" or torch.cuda.is_current_stream_capturing():
        return _allocate(num_floats, num_counters, device)
    key = (device, torch.cuda.current_stream(device).cuda_stream)
    kept = _workspaces.get(key)
    if kept is None or len(kept[0]) < num_floats or len(kept[1]) < num_counters:
        floats, counters = (0, 0) if kept is None else map(len, kept)
        kept = _allocate(max(num_floats, floats), max(num_counters, counters), device)
        _workspaces[key] = kept
    return kept


def _allocate(num_floats: int, num_counters: int, device: torch.device) -> tuple[Tensor, Tensor]:
    floats = torch.empty(num_floats, dtype=torch.float32, device=device)
    return floats, torch.zeros(num_counters, dtype=torch.int32, device=device)
