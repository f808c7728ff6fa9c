"""Compile the kernels ahead of time, for GPUs that need not be there, and print what came out.

One JSON object: for each `target/case` its spills, and its loads of 16 bytes in PTX. Run without
TRITON_INTERPRET, in a process of its own.
"""

import contextlib
import io
import json
import re
from typing import NamedTuple

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget

from swift_kernels.launch import score_launch, step_launch
from swift_kernels.score_kernel import score_kernel
from swift_kernels.step_kernel import step_kernel

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}


class Case(NamedTuple):
    kernel: str  # "score" or "step"
    dtype: tl.dtype
    hidden_size: int
    gated: bool = True
    masked: bool = True
    token_values: bool = False
    aligned: bool = True
    num_tokens: int = 1024


CASES = {
    "score": Case("score", tl.bfloat16, 4096),
    "score_float16_unmasked": Case("score", tl.float16, 4096, masked=False, token_values=True),
    "score_float32_576": Case("score", tl.float32, 576),
    "score_ungated": Case("score", tl.bfloat16, 4096, gated=False),
    "score_unaligned": Case("score", tl.bfloat16, 4096, aligned=False),
    "score_unaligned_577": Case("score", tl.bfloat16, 577, aligned=False),
    "score_one_token": Case("score", tl.float32, 24, gated=False, masked=False, num_tokens=1),
    "step": Case("step", tl.bfloat16, 4096),
    "step_float16_ungated": Case("step", tl.float16, 4096, gated=False),
    "step_float32_576": Case("step", tl.float32, 576),
    "step_unaligned": Case("step", tl.bfloat16, 4096, aligned=False),
}

WIDE_LOAD = r"ld\.global[.\w:]*\.(?:v4\.\w32|v2\.\w64|b128)\s"  # 16 bytes
POINTERS = {"table_ptr": "*i64", "scored_ptr": "*i1", "active_ptr": "*i1"}  # the others: float32


def compile_case(case: Case, target: GPUTarget, are_weights_aligned: bool = True) -> dict:
    """Compile as the real launch would; its pointers are those of PyTorch's allocator.

    With `are_weights_aligned=False` the weights are said to have any address, so that every load
    of 16 bytes left in the assembly is one of hidden states.
    """
    constants = {
        "HIDDEN_SIZE": case.hidden_size,
        "DTYPE": case.dtype,
        "GATED": case.gated,
        "ALIGNED": case.aligned,
    }
    if case.kernel == "score":
        kernel = score_kernel
        launch = score_launch(case.num_tokens, case.hidden_size, case.aligned)
        constants |= {"MASKED": case.masked, "TOKEN_VALUES": case.token_values}
        constants |= {"BLOCK_T": launch.block_t, "BLOCK_H": launch.block_h}
    else:
        kernel, launch = step_kernel, step_launch(case.hidden_size)
        constants |= {"BLOCK_H": launch.block_h}
    signature, attributes = {}, {}
    for index, name in enumerate(kernel.arg_names):
        is_pointer = name.endswith("_ptr")
        is_aligned = is_pointer and (are_weights_aligned or "_weight_" not in name)
        signature[name] = POINTERS.get(name, "*fp32") if is_pointer else "i32"
        if name in constants:
            signature[name] = "constexpr"
        elif is_aligned:
            attributes[(index,)] = [["tt.divisibility", 16]]
    source = triton.compiler.ASTSource(kernel, signature, constants, attributes)
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        options = {"num_warps": launch.num_warps}
        compiled = triton.compile(source, target=target, options=options)
    tile_bytes = launch.block_h * getattr(launch, "block_t", 1) * case.dtype.primitive_bitwidth // 8
    tile_loads = tile_bytes / (16 * target.warp_size * launch.num_warps)  # of each thread
    return {"tile_loads": tile_loads, **read_assembly(compiled.asm, log.getvalue())}


def read_assembly(asm: dict, log: str) -> dict:
    if "ptx" not in asm:
        spills = re.findall(r"\.[sv]gpr_spill_count:\s*(\d+)", asm["amdgcn"])
        assert len(spills) == 2, "no count of spills in the assembly"
        return {"spills": sum(map(int, spills))}
    spills = re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", log)
    assert len(spills) >= 3, f"no report of the assembler in {log!r}"
    num_wide_loads = len(re.findall(WIDE_LOAD, asm["ptx"]))
    return {"spills": sum(map(int, spills)), "num_wide_loads": num_wide_loads}


def main() -> None:
    triton.knobs.nvidia.dump_ptxas_log = True  # goes to stdout
    report = {}
    for target_name, target in TARGETS.items():
        for name, case in CASES.items():
            report[f"{target_name}/{name}"] = compile_case(case, target)
            if target.backend == "cuda" and case.gated:
                report[f"{target_name}/{name}/states"] = compile_case(case, target, False)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
