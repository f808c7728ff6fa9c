"""The table of addresses: where the rows of each layer lie, and if wide loads may read them."""

import pytest
import torch

from reference_inputs import DEVICE, DTYPES
from swift_kernels.addresses import address_table


def states(*shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype, device=DEVICE)


def test_addresses_and_strides():
    contiguous = states(2, 5, 8)
    transposed = states(5, 2, 8).transpose(0, 1)
    layers, table, _ = address_table([contiguous, transposed])
    assert [layer.data_ptr() for layer in layers] == [contiguous.data_ptr(), transposed.data_ptr()]
    assert table.dtype == torch.int64
    assert table.device == contiguous.device
    assert table.tolist() == [
        [contiguous.data_ptr(), 40, 8],
        [transposed.data_ptr(), 8, 16],
    ]


def test_only_a_scattered_last_dim_is_copied():
    scattered = torch.arange(80.0, device=DEVICE).view(2, 8, 5).transpose(1, 2)
    layers, table, _ = address_table([states(2, 5, 8), scattered])
    assert layers[1].data_ptr() != scattered.data_ptr()
    assert torch.equal(layers[1], scattered)
    assert table[1].tolist() == [layers[1].data_ptr(), 40, 8]


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
        assert address_table([layer])[2] is True
    for layer in unaligned:
        assert address_table([layer])[2] is False
    same_shape = [whole, flat[1:].view(whole.shape)]
    assert address_table(same_shape)[2] is False  # one layer decides for all
    assert address_table(same_shape[::-1])[2] is False
