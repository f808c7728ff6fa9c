"""Each kernel compiles for GPUs that need not be there, without spills and with wide loads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("compile_kernels.py")
CUDA = ("sm_80", "sm_90", "sm_100")
TARGETS = (*CUDA, "gfx942")
ALIGNED = ("score", "score_float16_unmasked", "score_float32_576", "step", "step_float32_576")
UNALIGNED = ("score_unaligned", "score_unaligned_577", "step_unaligned")
CASES = (*ALIGNED, *UNALIGNED, "score_ungated", "score_one_token", "step_float16_ungated")


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
    expected = {f"{target}/{case}" for target in TARGETS for case in CASES}
    expected |= {f"{target}/{case}/states" for target in CUDA for case in ALIGNED + UNALIGNED}
    assert report.keys() == expected


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES)
def test_no_register_is_spilled(case, target, report):
    assert report[f"{target}/{case}"]["spills"] == 0


@pytest.mark.parametrize("target", CUDA)
@pytest.mark.parametrize("case", ALIGNED)
def test_states_are_loaded_16_bytes_at_a_time(case, target, report):
    compiled = report[f"{target}/{case}/states"]
    assert compiled["tile_loads"] >= 1
    assert compiled["num_wide_loads"] >= compiled["tile_loads"]


@pytest.mark.parametrize("target", CUDA)
@pytest.mark.parametrize("case", UNALIGNED)
def test_unaligned_states_are_not(case, target, report):
    assert report[f"{target}/{case}/states"]["num_wide_loads"] == 0  # a wide load would fault
