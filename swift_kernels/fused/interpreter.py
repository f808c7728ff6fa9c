"""Triton's interpreter, with the releases of NumPy that came after it.

NumPy 2.4 no longer takes an array of one number for that number, as the interpreter of Triton 3.6
and before does wherever a kernel counts to one. Its own tests, and ours, run kernels there.
"""

import numpy as np
import triton
from triton.runtime import interpreter

from swift_kernels.backends import is_interpreting


def refuses_arrays(numpy_version: str) -> bool:
    """Whether `int(array)` fails where the array has one number in one dimension."""
    return _numbers(numpy_version) >= (2, 4)


def takes_arrays(triton_version: str) -> bool:
    """Whether this interpreter asks NumPy for `int(array)` of such arrays."""
    return _numbers(triton_version) < (3, 7)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2])


def let_tensors_be_indices() -> None:
    """Have each launch in the interpreter count as that of Triton 3.7 does."""
    prepare = interpreter._patch_lang_tensor  # at each launch

    def prepare_and_mend(tensor: type, *scope: object) -> None:
        prepare(tensor, *scope)
        tensor.__index__ = lambda self: int(self.handle.data.item())  # type: ignore[attr-defined]

    interpreter._patch_lang_tensor = prepare_and_mend


if is_interpreting() and takes_arrays(triton.__version__) and refuses_arrays(np.__version__):
    let_tensors_be_indices()
