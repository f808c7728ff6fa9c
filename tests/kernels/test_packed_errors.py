"""Every refusal of score_packed names the argument."""

import pytest
import torch

from reference_inputs import random_head, random_layers
from swift_kernels import score_packed


@pytest.fixture
def head():
    return random_head(3, 24).cpu()


@pytest.fixture
def layers():
    return tuple(layer.cpu() for layer in random_layers((3, 10, 24)))


def numbers(*values, dtype=torch.int32):
    return torch.tensor(values, dtype=dtype)


HIDDEN_STATES = {
    "too_few_layers": (lambda x: x[:2], ValueError, "2 layers, the head expects 3"),
    "hidden_size": (lambda x: [y[:, :23] for y in x], ValueError, r"\(10, 23\).*total_tokens, 24"),
    "padded": (lambda x: [y[None] for y in x], ValueError, r"\[0\] has shape \(1, 10, 24\)"),
    "one_dim": (lambda x: [y[0] for y in x], ValueError, r"\[0\] has shape \(24,\)"),
    "other_shape": (lambda x: [*x[:2], x[2][:4]], ValueError, r"\[2\] has shape \(4, 24\)"),
    "stacked_padded": (
        lambda x: torch.stack(x)[:, None],
        ValueError,
        r"\(3, 1, 10, 24\), expected \(L, total_tokens, H\)",
    ),
    "one_tensor": (lambda x: x[0], ValueError, r"\(10, 24\), expected \(L, total_tokens, H\)"),
    "float64": (lambda x: [y.double() for y in x], TypeError, "dtype torch.float64"),
    "mixed_dtypes": (lambda x: [*x[:2], x[2].half()], TypeError, r"\[2\] has dtype torch.float16"),
    "none": (lambda x: None, TypeError, "NoneType"),
    "lists": (lambda x: [y.tolist() for y in x], TypeError, "list, expected a sequence of L"),
    "other_device": (lambda x: [y.to("meta") for y in x], ValueError, "is on meta"),
}


@pytest.mark.parametrize("case", HIDDEN_STATES)
def test_hidden_states(case, layers, head):
    change, error, message = HIDDEN_STATES[case]
    with pytest.raises(error, match=f"^hidden_states.*{message}"):
        score_packed(change(layers), head, numbers(0, 10))


CU_SEQLENS = {
    "list": ([0, 10], TypeError, "list"),
    "none": (None, TypeError, "NoneType"),
    "float": (numbers(0, 10).float(), TypeError, "torch.float32"),
    "int16": (numbers(0, 10).short(), TypeError, "torch.int16"),
    "bool": (numbers(0, 1).bool(), TypeError, "torch.bool"),
    "nothing": (numbers(), ValueError, r"\(0,\), expected \(N \+ 1,\)"),
    "number": (torch.tensor(10), ValueError, r"shape \(\)"),
    "two_dims": (numbers(0, 10)[None], ValueError, r"shape \(1, 2\)"),
    "other_device": (numbers(0, 10).to("meta"), ValueError, "is on meta"),
    "not_from_0": (numbers(1, 10), ValueError, "from 1 to 10; .*start with 0"),
    "too_long": (
        numbers(0, 11, dtype=torch.int64),
        ValueError,
        "from 0 to 11; .*end with at most 10",
    ),
    "falling": (numbers(0, 7, 3, 10), ValueError, "falls after number 1; .*never fall"),
    "lengths": (numbers(4, 6), ValueError, "from 4 to 6; .*start with 0"),
}


@pytest.mark.parametrize("case", CU_SEQLENS)
def test_cu_seqlens(case, layers, head):
    cu_seqlens, error, message = CU_SEQLENS[case]
    with pytest.raises(error, match=f"^cu_seqlens.*{message}"):
        score_packed(layers, head, cu_seqlens)


MASKS = {
    "float": (torch.ones(10), TypeError, "torch.float32"),
    "list": ([1] * 10, TypeError, "list"),
    "too_short": (torch.ones(9).bool(), ValueError, r"\(9,\), expected \(10,\)"),
    "two_dims": (torch.ones(1, 10).bool(), ValueError, r"\(1, 10\), expected \(10,\)"),
    "other_device": (torch.ones(10, device="meta").bool(), ValueError, "is on meta"),
}


@pytest.mark.parametrize("case", MASKS)
def test_attention_mask(case, layers, head):
    mask, error, message = MASKS[case]
    with pytest.raises(error, match=f"^attention_mask.*{message}"):
        score_packed(layers, head, numbers(0, 10), mask)


def test_backend(layers, head):
    with pytest.raises(ValueError, match="^backend is 'cuda', expected one of 'auto', 'triton'"):
        score_packed(layers, head, numbers(0, 10), backend="cuda")
