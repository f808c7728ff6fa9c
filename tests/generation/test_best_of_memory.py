"""`best_of_n` where memory runs out: half the batch, and on."""

import weakref

import pytest
import torch

from best_of_cases import assert_same, run, said
from tiny_models import tiny_model


def fail_on_cpu():
    torch.empty(2**58, dtype=torch.uint8)


def fail_on_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Memory:
    """Stands in for `model._sample`: too many rows do not fit, at the start or at the end."""

    def __init__(self, model, num_rows, fail, at_end):
        self.sample, self.num_rows, self.fail, self.at_end = model._sample, num_rows, fail, at_end
        self.batches, self.kept = [], []

    def __call__(self, input_ids, *args, **kwargs):
        assert not any(reference() is not None for reference in self.kept)
        self.batches.append(len(input_ids))
        states = torch.zeros(3)  # what an error's traceback would keep alive
        self.kept.append(weakref.ref(states))
        fits = len(input_ids) <= self.num_rows
        if not fits and not self.at_end:
            self.fail()
        output = self.sample(input_ids, *args, **kwargs)
        if not fits:
            self.fail()
        return output


@pytest.mark.parametrize("at_end", [False, True], ids=["at-start", "at-end"])
@pytest.mark.parametrize("fail", [fail_on_cpu, fail_on_gpu])
def test_out_of_memory_halves_the_batch_and_goes_on(fail, at_end, monkeypatch):
    model = tiny_model("llama")
    expected = run(model)
    memory = Memory(model, 3, fail, at_end)
    monkeypatch.setattr(model, "_sample", memory)
    assert_same(run(model), expected)
    assert memory.batches == [12, 6, 3, 3, 3, 3]
    memory.batches.clear()
    assert_same(run(model, batch_size=5), expected)
    assert memory.batches == [5, 2, 2, 2, 2, 2, 2]


def test_out_of_memory_in_mid_run_keeps_what_was_done(monkeypatch):
    model = tiny_model("llama")
    expected = run(model)
    memory = Memory(model, 4, fail_on_gpu, False)
    monkeypatch.setattr(model, "_sample", memory)

    def shrink(input_ids, *args, **kwargs):
        output = memory(input_ids, *args, **kwargs)
        memory.num_rows = 2
        return output

    monkeypatch.setattr(model, "_sample", shrink)
    assert_same(run(model, batch_size=4), expected)
    assert memory.batches == [4, 4, 2, 2, 2, 2]


@pytest.mark.parametrize("fail", [fail_on_cpu, fail_on_gpu])
def test_one_candidate_that_does_not_fit_is_an_error(fail, monkeypatch):
    model = tiny_model("llama")
    memory = Memory(model, 0, fail, False)
    monkeypatch.setattr(model, "_sample", memory)
    with pytest.raises(RuntimeError, match="out of memory|can't allocate memory"):
        run(model, batch_size=4)
    assert memory.batches == [4, 2, 1]
    monkeypatch.undo()
    assert said(run(model)) == said(run())  # and the model can be used again


def test_another_error_is_not_taken_for_one_of_memory(monkeypatch):
    model = tiny_model("llama")

    def fail():
        raise RuntimeError("shapes do not match")

    memory = Memory(model, 0, fail, False)
    monkeypatch.setattr(model, "_sample", memory)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(model)
    assert memory.batches == [12]
