"""Each kernel compiles for GPUs that need not be there: no spills, wide loads, no waiting."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compile_cases import CASES
from swift_kernels.launch import NUM_WARPS, RESIDENT_PROGRAMS

SCRIPT = Path(__file__).parents[1] / "helpers/compile_kernels.py"
CUDA = ("sm_80", "sm_90", "sm_100")
TARGETS = (*CUDA, "gfx942")
ALIGNED = [name for name, case in CASES.items() if case.aligned]
ANY_ADDRESS = [name for name, case in CASES.items() if not case.aligned_weights]
GRADIENT = [name for name, case in CASES.items() if case.kernel == "gradient"]
ONE_STEP = ["gradient_16_rows"]  # no loop: what comes after it would count as in it


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What compile_kernels.py prints, without the interpreter and from an empty cache."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_every_case_was_compiled(report):
    assert report.keys() == {f"{target}/{case}" for target in TARGETS for case in CASES}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES)
def test_no_register_is_spilled(case, target, report):
    assert report[f"{target}/{case}"]["spilled_bytes"] == 0


@pytest.mark.parametrize("target", CUDA)
@pytest.mark.parametrize("case", ALIGNED)
def test_states_are_loaded_16_bytes_at_a_time(case, target, report):
    compiled = report[f"{target}/{case}"]
    assert compiled["num_wide_loads"] >= max(compiled["tile_loads"], 1)
    if case not in GRADIENT:  # its token gradients are numbers of each row
        assert compiled["num_loads"] == compiled["num_wide_loads"]


@pytest.mark.parametrize("case", [name for name in ALIGNED if name not in ONE_STEP])
def test_states_are_loaded_16_bytes_at_a_time_on_amd(case, report):
    compiled = report[f"gfx942/{case}"]
    assert compiled["num_wide_loads"] >= max(compiled["tile_loads"], 1)


@pytest.mark.parametrize("target", CUDA)
@pytest.mark.parametrize("case", [*ANY_ADDRESS, "gradient_unaligned", "gradient_unaligned_577"])
def test_unaligned_states_are_not(case, target, report):
    compiled = report[f"{target}/{case}"]
    assert compiled["num_loads"] > 0
    assert compiled["num_wide_loads"] == 0  # a wide load would fault


@pytest.mark.parametrize("target", CUDA)
@pytest.mark.parametrize("case", [name for name in CASES if name not in ONE_STEP])
def test_no_thread_waits_for_another_in_the_loop(case, target, report):
    compiled = report[f"{target}/{case}"]
    assert compiled["num_barriers"] == compiled["num_shared"] == 0


def test_as_many_programs_are_resident_as_the_launch_counts_on(report):
    num_registers = report["sm_90/score"]["num_registers"]
    assert RESIDENT_PROGRAMS * 32 * NUM_WARPS * num_registers <= 65_536


def test_sizes_of_the_tiles(report):
    rows = {case: report[f"sm_90/{case}"]["rows"] for case in CASES if case.startswith("score")}
    assert set(rows.values()) == {16, 32, 64}
