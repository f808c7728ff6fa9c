"""`score_candidates` on a CPU against the paper's eager head, taking turns.

    python bench/score_speedup.py [--floor 4]

Prints the bytes that must be read and the bandwidth of a plain sum over them, the ceiling, before
the times. The last line is JSON; the exit code is 1 if a ratio lies below the floor.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

from eager_head import EagerHead
from machine import machine
from swift_kernels import RewardHead, score_candidates

SHAPES = {  # L, N, T, H
    "Qwen2.5-0.5B": (25, 8, 256, 896),
    "Llama-3.1-8B, 9 of 33 layers": (9, 8, 256, 4096),
}
ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--floor", type=float, default=4.0, help="the lowest ratio that passes")
    floor = parser.parse_args().floor
    rows = [
        measure(name, shape, dtype)
        for name, shape in SHAPES.items()
        for dtype in (torch.float32, torch.bfloat16, torch.float16)
    ]
    lowest = min(row["speedup"] for row in rows)
    print(json.dumps({"benchmark": "score_speedup", "rows": rows, "machine": machine()}))
    sys.exit(0 if lowest >= floor else f"{lowest:.2f}x the eager form, expected at least {floor}x")


@torch.no_grad()
def measure(name: str, shape: tuple[int, int, int, int], dtype: torch.dtype) -> dict:
    num_layers, num_candidates, num_tokens, hidden_size = shape
    generator = torch.Generator().manual_seed(0)
    layers = [
        torch.randn(num_candidates, num_tokens, hidden_size, generator=generator).to(dtype)
        for _ in range(num_layers)
    ]
    head = RewardHead(num_layers, hidden_size)
    eager = EagerHead(head)
    torch.testing.assert_close(score_candidates(layers, head), eager(layers), atol=1e-5, rtol=1e-4)
    num_bytes = sum(layer.nbytes for layer in layers)
    forms: dict[str, Callable] = {
        "sum": lambda: [layer.sum() for layer in layers],
        "eager": lambda: eager(layers),
        "swift_kernels": lambda: score_candidates(layers, head),
    }
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    for _ in range(ROUNDS):
        for form, run in forms.items():
            started = time.perf_counter()
            run()
            seconds[form].append(time.perf_counter() - started)
    ratios = [e / s for e, s in zip(seconds["eager"], seconds["swift_kernels"], strict=True)]
    row = {
        "shape": name,
        "dtype": str(dtype).removeprefix("torch."),
        "megabytes": round(num_bytes / 1e6),
        **{
            f"{form}_gb_per_s": round(num_bytes / statistics.median(times) / 1e9, 2)
            for form, times in seconds.items()
        },
        "speedup": round(statistics.median(ratios), 2),
    }
    print(
        f"{name}, {row['dtype']}: {row['megabytes']} MB, ceiling {row['sum_gb_per_s']} GB/s, "
        f"eager {row['eager_gb_per_s']}, swift_kernels {row['swift_kernels_gb_per_s']} GB/s: "
        f"{row['speedup']}x"
    )
    return row


if __name__ == "__main__":
    main()
