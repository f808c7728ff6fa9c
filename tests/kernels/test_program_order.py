"""Which program comes last changes no bit: the interpreter runs them in other orders."""

import itertools
import random

import pytest
import torch
from triton.runtime.interpreter import interpreter_builder

from paths import PATHS, assert_same_bits

ORDERS = {
    "reversed": lambda programs: programs[::-1],
    "shuffled": lambda programs: random.Random(0).sample(programs, len(programs)),
    "second_axis_first": lambda programs: sorted(programs, key=lambda program: program[::-1]),
}


@pytest.fixture
def reorder(monkeypatch):
    """`reorder(order)` changes the order of all launches after it; gives the programs as they ran.

    The interpreter sets the size of the grid, then counts through it in its own order.
    """
    set_dim, set_index = interpreter_builder.set_grid_dim, interpreter_builder.set_grid_idx
    ran = []

    def start(order):
        next_program = None

        def set_grid_dim(*sizes):
            nonlocal next_program
            programs = list(itertools.product(*map(range, sizes)))
            next_program = iter(order(programs))
            set_dim(*sizes)

        def set_grid_idx(*_):
            ran.append(next(next_program))
            set_index(*ran[-1])

        monkeypatch.setattr(interpreter_builder, "set_grid_dim", set_grid_dim)
        monkeypatch.setattr(interpreter_builder, "set_grid_idx", set_grid_idx)
        return ran

    return start


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
def test_order_changes_no_bit(path, order, reorder, many_splits):
    many_splits(1)
    expected = path("triton", torch.bfloat16)
    ran = reorder(ORDERS[order])
    assert_same_bits(path("triton", torch.bfloat16), expected)
    assert len({program[0] for program in ran}) > 1
    assert len({program[1] for program in ran}) > 1
    assert ran != sorted(ran)
