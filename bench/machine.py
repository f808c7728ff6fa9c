"""Where a benchmark ran: the header of its results."""

import platform

import torch


def machine() -> dict[str, str]:
    is_gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name()
        if is_gpu
        else f"{torch.get_num_threads()} CPU cores",
        "processor": _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except FileNotFoundError:  # not Linux
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()
