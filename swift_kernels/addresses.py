"""How one launch reads L separate tensors: their addresses, as arguments of the kernel.

By value, so that there is no table to copy: nothing to wait for, and a CUDA graph keeps them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from swift_kernels.launch import VECTOR_BYTES


class LayerAddresses(NamedTuple):
    layers: Sequence[Tensor]  # what the addresses point into: keep them alive until the launch
    addresses: tuple[int, ...]  # L
    strides: tuple[int, int]  # of N and of T, in elements, the same for all layers
    is_aligned: bool  # every row starts on a 16-byte boundary


def layer_addresses(layers: Sequence[Tensor]) -> LayerAddresses:
    """Where the rows of L tensors `[N, T, H]` lie.

    Layers of different layouts, and rows with gaps between their elements, are copied first.
    """
    all_strides = [layer.stride() for layer in layers]
    strides = all_strides[0]
    if strides[2] != 1 or all_strides.count(strides) != len(layers):
        layers = [layer.contiguous() for layer in layers]
        _, num_tokens, hidden_size = layers[0].shape
        strides = (num_tokens * hidden_size, hidden_size, 1)
    addresses = tuple([layer.data_ptr() for layer in layers])
    bits = (strides[0] | strides[1]) * layers[0].element_size()  # low bits of any byte offset
    for address in addresses:
        bits |= address
    is_aligned = bits % VECTOR_BYTES == 0
    return LayerAddresses(layers, addresses, strides[:2], is_aligned)
