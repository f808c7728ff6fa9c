"""Compile the kernels ahead of time, for GPUs that need not be there, and print what came out.

One JSON object: what `read_assembly` finds in each `target/case`. Run without TRITON_INTERPRET, in
a process of its own.
"""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import torch
import triton
from triton.backends.amd.compiler import HIPBackend
from triton.backends.compiler import GPUTarget

from compile_cases import CASES, Case
from swift_kernels.fused.gradient import gradient_kernel
from swift_kernels.fused.score import score_kernel
from swift_kernels.fused.step import step_kernel
from swift_kernels.fused.tile import TRITON_DTYPES
from swift_kernels.launch import gradient_launch, score_launch, step_launch

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
KERNELS = {"score": score_kernel, "step": step_kernel, "gradient": gradient_kernel}
POINTERS = {"scored_ptr": "*i1", "active_ptr": "*i1", "has_tokens_ptr": "*i1"}  # others: float32
POINTERS |= {"arrivals_ptr": "*i32", "cu_seqlens_ptr": "*i64"}

WIDE_LOAD = r"ld\.global[.\w:]*\.(?:v4\.\w32|v2\.\w64|b128)\s"  # 16 bytes
SHARED = r"\b(?:ld|st|atom)\.shared|\bcp\.async|\bldmatrix|\bstmatrix"
BARRIER = r"\bbar(?:rier)?\.|\bmbarrier"


class Launch(NamedTuple):
    sizes: NamedTuple  # of swift_kernels.launch
    integers: dict[str, int]  # arguments that are known at run time only
    constants: dict


def launch_of(case: Case) -> Launch:
    """What the real launch passes to the kernel, for contiguous states on a GPU like an H200."""
    n, t, h = case.num_candidates, case.num_tokens, case.hidden_size
    sizes_of = {"itemsize": case.dtype.itemsize, "num_sms": 132, "is_aligned": case.aligned}
    if case.kernel == "score":
        sizes = score_launch(n, t, case.num_layers, h, is_packed=case.packed, **sizes_of)
        constants = {"MASKED": case.masked, "PACKED": case.packed, "GATE_FLOOR": 1e-8}
        constants |= {"BLOCK_T": sizes.block_t, "VECTOR": sizes.vector, "BLOCK_S": sizes.block_s}
        constants |= {"NUM_STAGES": sizes.num_stages}
        integers = {"num_candidates": n, "num_tokens": t, "stride_t": h}
        integers |= {"tiles_per_candidate": sizes.tiles_per_candidate}
        integers |= {"stride_n": 0 if case.packed else t * h}
        integers |= {"stride_scored_n": t, "stride_scored_t": 1, "stride_out_n": t}
    elif case.kernel == "step":
        sizes = step_launch(n, case.num_layers, h, **sizes_of)
        constants = {"BLOCK_N": sizes.block_t, "VECTOR": sizes.vector, "BLOCK_S": sizes.block_s}
        constants |= {"NUM_STAGES": sizes.num_stages}
        integers = {"num_candidates": n, "stride_n": h, "stride_active": 1}
    else:
        sizes = gradient_launch(n * t, case.num_layers, h, **sizes_of)
        constants = {"NUM_CHUNKS": sizes.num_chunks, "FLAT": case.flat, "BLOCK_T": sizes.block_t}
        constants |= {"PARALLEL_ROWS": sizes.parallel_rows}
        integers = {"num_rows": n * t, "num_tokens": t, "stride_n": t * h, "stride_t": h}
    constants |= {"HIDDEN_SIZE": h, "DTYPE": TRITON_DTYPES[case.dtype], "GATED": case.gated}
    constants |= {"ALIGNED": case.aligned, "BLOCK_H": sizes.block_h}
    integers |= {"steps_per_split": sizes.steps_per_split}
    return Launch(sizes, integers, constants)


def compile_case(case: Case, target: GPUTarget) -> dict:
    """Compile as the real launch would; its pointers are those of PyTorch's allocator.

    With `case.aligned_weights` unset the weights are said to have any address, so that every load
    of 16 bytes left in the assembly is one of hidden states.
    """
    kernel = KERNELS[case.kernel]
    launch = launch_of(case)
    constants = dict(launch.constants)
    unspecialized = {p.name for p in kernel.params if p.do_not_specialize}
    signature, attributes = {}, {}
    for index, name in enumerate(kernel.arg_names):
        is_aligned = False
        if name in constants:
            signature[name] = "constexpr"
        elif name == "addresses":
            signature[name] = ("i64",) * case.num_layers
        elif name.endswith("_ptr"):
            signature[name] = POINTERS.get(name, "*fp32")
            is_aligned = case.aligned_weights or "_weight_" not in name
        elif launch.integers[name] == 1 and name not in unspecialized:
            signature[name], constants[name] = "constexpr", 1
        else:
            signature[name] = "i32"
            is_aligned = launch.integers[name] % 16 == 0 and name not in unspecialized
        if is_aligned:
            attributes[(index,)] = [["tt.divisibility", 16]]
    source = triton.compiler.ASTSource(kernel, signature, constants, attributes)
    options = {"num_warps": launch.sizes.num_warps, "enable_fp_fusion": True}
    if target.backend == "cuda":
        options["maxnreg"] = launch.sizes.max_registers
    with assembler_reports() as reports:
        compiled = triton.compile(source, target=target, options=options)
    tile_bytes = launch.sizes.block_t * launch.sizes.block_h * case.dtype.itemsize
    tile_loads = tile_bytes / (16 * target.warp_size * launch.sizes.num_warps)  # of each thread
    return {
        "rows": launch.sizes.block_t,
        "tile_loads": tile_loads,
        **read_assembly(compiled.asm, "".join(reports)),
    }


@contextlib.contextmanager
def assembler_reports() -> Iterator[list[str]]:
    """What ptxas reports of what is compiled meanwhile: Triton 3.4 does not print it."""
    run, reports = subprocess.run, []

    def run_and_keep(*args, stderr=None, **kwargs):
        done = run(*args, stderr=stderr, **kwargs)
        if name := getattr(stderr, "name", None):
            reports.append(Path(name).read_text())
        return done

    with mock.patch.object(subprocess, "run", run_and_keep):
        yield reports


def read_assembly(asm: dict, log: str) -> dict:
    if "ptx" not in asm:
        counts = [int(n) for n in re.findall(r"\.vgpr_spill_count:\s*(\d+)", asm["amdgcn"])]
        assert len(counts) == 1, "no count of spills in the assembly"
        wide_loads = re.findall(r"(?:global|buffer)_load_dwordx4", asm["amdgcn"])
        return {"spilled_bytes": 4 * counts[0], "num_wide_loads": len(wide_loads)}
    spills = re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", log)
    registers = re.findall(r"Used (\d+) registers", log)
    assert len(spills) >= 3 and len(registers) == 1, f"no report of the assembler in {log!r}"
    loop = inner_loop(asm["ptx"])
    return {
        "spilled_bytes": sum(map(int, spills)),
        "num_registers": int(registers[0]),
        "num_wide_loads": len(re.findall(WIDE_LOAD, loop)),
        "num_loads": len(re.findall(r"ld\.global", loop)),
        "num_shared": len(re.findall(SHARED, loop)),
        "num_barriers": len(re.findall(BARRIER, loop)),
    }


def inner_loop(ptx: str) -> str:
    """The shortest loop that multiplies, from a label to the branch that goes back to it.

    Where one step is all there is, as the launch then says to the compiler, it is the whole kernel.
    """
    labels, loops = {}, []
    lines = ptx.splitlines()
    for index, line in enumerate(lines):
        if label := re.match(r"(\$L\w+):", line):
            labels[label[1]] = index
        elif (branch := re.search(r"\bbra(?:\.uni)?\s+(\$L\w+);", line)) and branch[1] in labels:
            loops.append(lines[labels[branch[1]] : index])
    products = re.compile(r"\b(?:fma\.rn|mul)\.f32")
    loops = ["\n".join(loop) for loop in sorted(loops, key=len)]
    return next((loop for loop in loops if products.search(loop)), ptx)


def main() -> None:
    torch.set_num_threads(1)
    if hasattr(HIPBackend, "path_to_rocm_lld"):  # Triton 3.4 brings no linker; nothing is run here
        HIPBackend.hash = lambda self: "not linked"
        HIPBackend.make_hsaco = lambda *args: b""
    report = {
        f"{target_name}/{name}": compile_case(case, target)
        for target_name, target in TARGETS.items()
        for name, case in CASES.items()
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
