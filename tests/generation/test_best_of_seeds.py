"""The random streams of `best_of_n`."""

import torch

from best_of_cases import N, assert_same, run, said


def test_a_seed_gives_the_same_candidates_again():
    first = run(seed=5)
    torch.rand(7)
    assert_same(run(seed=5), first)
    assert said(run(seed=6)) != said(first)
    assert len({tuple(c.token_ids) for c in first[0].candidates}) == N


def test_a_seed_leaves_the_random_stream_of_pytorch_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    run(seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_equal_prompts_have_candidates_of_their_own():
    results = run(prompts=["No", "No"], eos_token_id=None)
    assert len({tuple(ids) for ids in said(results)}) == 2 * N


def test_without_a_seed_the_random_stream_of_pytorch_decides():
    torch.manual_seed(11)
    first, second = run(seed=None), run(seed=None)
    torch.manual_seed(11)
    again = run(seed=None)
    assert_same(again, first)
    assert said(second) != said(first)
    torch.manual_seed(12)
    assert said(run(seed=None)) != said(first)
