"""The pieces in which PyTorch reads: every scored token once, no other, views where they can be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swift_kernels.project import as_rows, token_spans


@st.composite
def masks(draw):
    num_candidates, num_tokens = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    bits = draw(st.lists(st.booleans(), min_size=num_tokens, max_size=num_tokens * num_candidates))
    flat = torch.zeros(num_candidates * num_tokens, dtype=torch.bool)
    flat[: len(bits)] = torch.tensor(bits)
    return flat.view(num_candidates, num_tokens)


@given(masks(), st.integers(1, 50))
def test_every_scored_token_once(mask, block):
    count = torch.zeros(mask.shape, dtype=torch.int64)
    for n, tokens in token_spans(mask.shape, mask, block):
        piece = count[n, tokens]
        assert 0 < len(piece) <= block
        count[n, tokens] += 1
    assert torch.equal(count, mask.long())


@pytest.mark.parametrize("block", [1, 7, 40, 100])
def test_all_tokens_once(block):
    count = torch.zeros(3, 40, dtype=torch.int64)
    for n, tokens in token_spans(count.shape, None, block):
        assert isinstance(tokens, slice)
        count[n, tokens] += 1
    assert (count == 1).all()


def test_padding_is_read_as_views():
    mask = torch.arange(40) >= torch.tensor([[0], [13], [39], [40]])
    pieces = token_spans(mask.shape, mask, 100)
    assert pieces == [(0, slice(0, 40)), (1, slice(13, 40)), (2, slice(39, 40))]


def test_scattered_tokens_are_gathered():
    mask = (torch.arange(80) % 2 == 0).expand(2, 80)
    pieces = token_spans(mask.shape, mask, 30)
    assert [len(tokens) for _, tokens in pieces] == [30, 30, 20]
    assert all(isinstance(tokens, torch.Tensor) for _, tokens in pieces)


LAYOUTS = {  # whether all tokens make one row without a copy
    "contiguous": (torch.zeros(3, 5, 8), True),
    "wider_rows": (torch.zeros(3, 5, 16)[..., :8], True),
    "response": (torch.zeros(3, 9, 8)[:, 4:], False),
    "last_token": (torch.zeros(3, 9, 8)[:, -1:], True),
    "one_candidate": (torch.zeros(1, 9, 8)[:, 4:], True),
    "transposed": (torch.zeros(5, 3, 8).transpose(0, 1), False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_row_where_it_is_a_view(layout):
    states, is_view = LAYOUTS[layout]
    mask = torch.ones(states.shape[:2], dtype=torch.bool)
    (row,), row_mask = as_rows([states], mask)
    assert row.data_ptr() == states.data_ptr()
    num_tokens = states.shape[0] * states.shape[1]
    assert row.shape == ((1, num_tokens, 8) if is_view else states.shape)
    assert row_mask.shape == row.shape[:2]


def test_all_layers_must_agree():
    layers = [LAYOUTS["contiguous"][0], LAYOUTS["transposed"][0]]
    assert as_rows(layers, None) == (layers, None)
