"""Every tensor that we make names its dtype and its device: the caller's defaults are not ours."""

import ast
from pathlib import Path

import pytest
import torch
from torch.utils._device import _device_constructors

ROOT = Path(__file__).parent.parent
# Of one dtype whatever the default: positions, or what was saved.
DTYPE_IS_FIXED = {"randperm", "tril_indices", "triu_indices", "Generator", "load"}
DEVICE_IS_FIXED = {"frombuffer"}
OTHER_NAMES = {"device": {"map_location"}, "dtype": set()}
LEGACY = {"Tensor", "FloatTensor", "DoubleTensor", "HalfTensor", "LongTensor", "BoolTensor"}
FACTORIES = {function.__name__.removeprefix("fft_") for function in _device_constructors()}
FACTORIES |= {"Generator", "normal", "load", "frombuffer", *LEGACY}
# Modules of PyTorch that make parameters or buffers: those that take a device.
MODULES = {name for name in dir(torch.nn) if isinstance(getattr(torch.nn, name), type)}
HOLD_NOTHING = {"Module", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Parameter"}

SOURCES = sorted(
    path
    for package in (ROOT / "swift_kernels", ROOT / "python" / "swift_bon")
    for path in package.rglob("*.py")
)


def unnamed(code: str) -> list[str]:
    """Calls that make a tensor and leave its dtype or its device to the caller's defaults."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, name = ast.unparse(node.func.value), node.func.attr
        is_module = owner in ("nn", "torch.nn") and name in MODULES - HOLD_NOTHING
        if not is_module and not (owner.startswith("torch") and name in FACTORIES):
            continue
        given = {keyword.arg for keyword in node.keywords}
        needed = ["device"] if name not in DEVICE_IS_FIXED else []
        needed += ["dtype"] if name not in DTYPE_IS_FIXED else []
        missing = [what for what in needed if not given & {what, *OTHER_NAMES[what]}]
        if missing:
            found.append(
                f"line {node.lineno}: {ast.unparse(node)} names no {' and no '.join(missing)}"
            )
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_dtype_and_device_are_named(path):
    assert not unnamed(path.read_text())


@pytest.mark.parametrize(
    "code",
    [
        "torch.zeros(3)",
        "torch.zeros(3, dtype=torch.float32)",
        "torch.tensor([1.0], device='cpu')",
        "torch.Generator().manual_seed(0)",
        "torch.randperm(3)",
        "torch.Tensor([1.0])",
        "torch.fft.fftfreq(4)",
        "nn.Linear(2, 3)",
        "torch.nn.Embedding(2, 3, dtype=torch.float32)",
        "torch.load('a.pt', weights_only=True)",
    ],
)
def test_what_leaves_one_to_the_defaults_is_found(code):
    assert len(unnamed(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "torch.zeros(3, dtype=torch.float32, device=x.device)",
        "torch.zeros_like(x)",
        "x.new_zeros(3)",
        "torch.Generator(device='cpu')",
        "torch.randperm(3, device='cpu')",
        "torch.load('a.pt', map_location='cpu', weights_only=True)",
        "torch.cat([x, y])",
    ],
)
def test_what_follows_another_tensor_is_not(code):
    assert unnamed(code) == []
