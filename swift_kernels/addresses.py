"""The table by which one launch reads L separate tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

VECTOR_BYTES = 16  # the widest load of one thread


def address_table(layers: Sequence[Tensor]) -> tuple[Sequence[Tensor], Tensor, bool]:
    """Addresses and strides of the layers, on their device, without a host synchronisation.

    Args:
        layers: L tensors `[N, T, H]`.

    Returns:
        the tensors that the table points into (keep them alive until the launch); int64 `[L, 3]`:
        address, stride of N, stride of T (in elements); and whether every row starts on a
        16-byte boundary, so that the kernel may load 16 bytes at once.
    """
    layers = [layer if layer.stride(2) == 1 else layer.contiguous() for layer in layers]
    rows = [(layer.data_ptr(), layer.stride(0), layer.stride(1)) for layer in layers]
    itemsize = layers[0].element_size()
    is_aligned = all(
        address % VECTOR_BYTES == 0
        and stride_n * itemsize % VECTOR_BYTES == 0
        and stride_t * itemsize % VECTOR_BYTES == 0
        for address, stride_n, stride_t in rows
    )
    table = torch.tensor(rows, dtype=torch.int64)
    if layers[0].is_cuda:
        table = table.pin_memory().to(layers[0].device, non_blocking=True)
    return layers, table, is_aligned
