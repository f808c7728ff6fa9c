"""Records of benchmarks made by hand, and the tables of them."""

import json

from tables import rewrite

CPU = {
    "device": "2 CPU cores",
    "processor": "Abacus",
    "python": "3.12.0",
    "torch": "2.11.0",
    "triton": None,
    "cuda": None,
    "commit": "0123456789abcdef",
    "date": "2026-01-02",
}
GPU = {**CPU, "device": "NVIDIA H200", "triton": "3.6.0", "cuda": "13.0"}
BANDWIDTH = {"read_gb_per_s": 4200.0, "copy_gb_per_s": 4100.0, "fastest_read": "amax"}
FORM = {
    "p50_ms": 0.5,
    "gb_per_s": 4000.0,
    "read_percent": 95.2,
    "copy_percent": 97.6,
    "peak_extra_bytes": 3 * 2**20,
}
INPUT = {"shape": "Abacus-8B", "num_candidates": 16, "num_tokens": 512, "dtype": "bfloat16"}


def score_record(machine: dict) -> dict:
    names = ("swift_kernels", "eager", "per_layer", "plain_sum")
    forms = {name: {**FORM, "gb_per_s": rate} for rate, name in enumerate(names, start=4)}
    speedup = {"eager": 11.04, "per_layer": 3.0, "per_layer_split": 1.5}
    speedup |= {"compiled_sum": 1.31, "compiled_matmul": 4.0}
    row = {**INPUT, "forms": forms, "speedup": speedup}
    return {"machine": machine, "bandwidth": BANDWIDTH, "rows": [row], "left_padded": None}


def write(results, folder: str, name: str, record: dict) -> None:
    (results / folder).mkdir(exist_ok=True)
    (results / folder / f"{name}.json").write_text(json.dumps(record))


def block(name: str, content: str = "old") -> str:
    return f"before\n<!-- table: {name} -->\n{content}\n<!-- end of table -->\nafter\n"


def render(name: str, results) -> str:
    return rewrite(block(name), results)
