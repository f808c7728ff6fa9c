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
    num_candidates, num_tokens, hidden_size = layers[0].shape
    all_strides = [layer.stride() for layer in layers]
    stride_n, stride_t, stride_h = all_strides[0]
    if stride_h != 1 or all_strides.count(all_strides[0]) != len(layers):
        layers = [layer.contiguous() for layer in layers]
        stride_n, stride_t = num_tokens * hidden_size, hidden_size
    stride_n = 0 if num_candidates == 1 else stride_n  # never used then, and may be anything
    stride_t = 0 if num_tokens == 1 else stride_t
    addresses = tuple([layer.data_ptr() for layer in layers])
    bits = (stride_n | stride_t) * layers[0].element_size()  # low bits of any byte offset
    for address in addresses:
        bits |= address
    is_aligned = bits % VECTOR_BYTES == 0
    return LayerAddresses(layers, addresses, (stride_n, stride_t), is_aligned)
