"""Every refusal of score_candidates names the argument."""

import pytest
import torch

from reference_inputs import random_head, random_layers
from swift_kernels import score_candidates


@pytest.fixture
def head():
    return random_head(3, 24).cpu()


@pytest.fixture
def layers():
    return tuple(layer.cpu() for layer in random_layers((3, 2, 5, 24)))


HIDDEN_STATES = {
    "too_few_layers": (lambda x: x[:2], ValueError, "2 layers, the head expects 3"),
    "no_layers": (lambda x: (), ValueError, "0 layers"),
    "stacked_too_few": (lambda x: torch.stack(x[:2]), ValueError, "2 layers"),
    "hidden_size": (lambda x: [y[..., :23] for y in x], ValueError, r"\(2, 5, 23\).*N, T, 24"),
    "two_dims": (lambda x: [y[0] for y in x], ValueError, r"\[0\] has shape \(5, 24\)"),
    "other_shape": (lambda x: [*x[:2], x[2][:, :4]], ValueError, r"\[2\] has shape \(2, 4, 24\)"),
    "one_tensor": (lambda x: x[0], ValueError, r"\(2, 5, 24\), expected \(L, N, T, H\)"),
    "mixed_dtypes": (lambda x: [*x[:2], x[2].half()], TypeError, r"\[2\] has dtype torch.float16"),
    "float64": (lambda x: [y.double() for y in x], TypeError, "dtype torch.float64"),
    "integers": (lambda x: [y.int() for y in x], TypeError, "dtype torch.int32"),
    "none": (lambda x: None, TypeError, "NoneType"),
    "lists": (lambda x: [y.tolist() for y in x], TypeError, "list, expected a sequence of L"),
    "generator": (lambda x: (y for y in x), TypeError, "generator"),
    "other_device": (lambda x: [y.to("meta") for y in x], ValueError, r"is on meta.*head on cpu"),
}


@pytest.mark.parametrize("case", HIDDEN_STATES)
def test_hidden_states(case, layers, head):
    change, error, message = HIDDEN_STATES[case]
    with pytest.raises(error, match=f"^hidden_states.*{message}"):
        score_candidates(change(layers), head)


def test_layers_of_a_subset_name_both_counts(layers):
    head = random_head(5, 24, layers=[0, 4]).cpu()
    with pytest.raises(ValueError, match="hidden_states has 3 layers, the head expects 5 or 2"):
        score_candidates(layers, head)


MASKS = {
    "float": (lambda: torch.ones(2, 5), TypeError, "torch.float32"),
    "list": (lambda: [[1] * 5] * 2, TypeError, "list"),
    "transposed": (lambda: torch.ones(5, 2).bool(), ValueError, r"\(5, 2\), expected \(2, 5\)"),
    "one_dim": (lambda: torch.ones(5).bool(), ValueError, r"\(5,\)"),
    "other_device": (lambda: torch.ones(2, 5, device="meta").bool(), ValueError, "is on meta"),
}


@pytest.mark.parametrize("case", MASKS)
def test_attention_mask(case, layers, head):
    make, error, message = MASKS[case]
    with pytest.raises(error, match=f"^attention_mask.*{message}"):
        score_candidates(layers, head, make())


def test_backend(layers, head):
    with pytest.raises(ValueError, match="^backend is 'cuda', expected one of 'auto', 'triton'"):
        score_candidates(layers, head, backend="cuda")
