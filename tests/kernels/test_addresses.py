"""The addresses of the layers: where the rows of each lie, and if wide loads may read them."""

import pytest
import torch

from reference_inputs import DEVICE, DTYPES
from swift_kernels.fused.addresses import layer_addresses


def states(*shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype, device=DEVICE)


def numbers(*shape):
    return torch.arange(float(torch.Size(shape).numel()), device=DEVICE).view(shape)


def test_addresses_and_strides():
    layers = [states(5, 2, 8).transpose(0, 1) for _ in range(3)]
    kept, addresses, strides, is_aligned = layer_addresses(layers)
    assert [id(layer) for layer in kept] == [id(layer) for layer in layers]
    assert addresses == tuple(layer.data_ptr() for layer in layers)
    assert strides == (8, 16)
    assert is_aligned is True


COPIED = {
    "scattered_last_dim": lambda: [numbers(2, 8, 5).transpose(1, 2) for _ in range(2)],
    "one_scattered": lambda: [numbers(2, 5, 8), numbers(2, 8, 5).transpose(1, 2)],
    "two_layouts": lambda: [numbers(2, 5, 8), numbers(5, 2, 8).transpose(0, 1)],
    "two_layouts_turned": lambda: [numbers(5, 2, 8).transpose(0, 1), numbers(2, 5, 8)],
    "expanded_last_dim": lambda: [numbers(2, 5, 1).expand(2, 5, 8) for _ in range(2)],
}


@pytest.mark.parametrize("case", COPIED)
def test_what_one_pair_of_strides_cannot_say_is_copied(case):
    layers = COPIED[case]()
    kept, addresses, strides, is_aligned = layer_addresses(layers)
    assert strides == (40, 8)
    assert is_aligned is True
    assert addresses == tuple(layer.data_ptr() for layer in kept)
    for copy, layer in zip(kept, layers, strict=True):
        assert copy.is_contiguous()
        assert torch.equal(copy, layer)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_alignment(dtype):
    vector = 16 // dtype.itemsize  # elements
    whole = states(2, 5, 3 * vector, dtype=dtype)
    flat = states(whole.numel() + 1, dtype=dtype)
    aligned = [whole, whole[:, 1::2], whole[..., vector:], whole.transpose(0, 1), whole[:1]]
    unaligned = [
        flat[1:].view(whole.shape),
        whole[..., 1:],
        states(2, 5, vector + 1, dtype=dtype),
        states(1, 1, vector + 1, dtype=dtype).expand(2, 5, -1).contiguous(),
        states(5 * vector + 1, dtype=dtype).as_strided((2, 5, 1), (1, vector, 1)),
    ]
    for layer in aligned:
        assert layer_addresses([layer]).is_aligned is True
    for layer in unaligned:
        assert layer_addresses([layer]).is_aligned is False
    same_shape = [whole, flat[1:].view(whole.shape)]
    assert layer_addresses(same_shape).is_aligned is False  # one layer decides for all
    assert layer_addresses(same_shape[::-1]).is_aligned is False
