"""Several streams, batches of several sizes one after the other, several GPUs."""

import torch

from reference_inputs import DEVICE, random_head, random_layers
from swift_kernels import RunningScore, score_candidates


def test_two_streams_at_once():
    head = random_head(9, 1024).requires_grad_(False)
    batches = [random_layers((9, 4, 64, 1024), torch.bfloat16, seed) for seed in (2, 3)]
    expected = [score_candidates(layers, head) for layers in batches]
    streams = [torch.cuda.Stream() for _ in batches]
    results = [[], []]
    torch.cuda.synchronize()
    for _ in range(100):
        for stream, layers, scores in zip(streams, batches, results, strict=True):
            with torch.cuda.stream(stream):
                scores.append(score_candidates(layers, head))
    torch.cuda.synchronize()
    for scores, one in zip(results, expected, strict=True):
        assert all(torch.equal(score, one) for score in scores)


def test_scores_and_steps_at_once():
    head = random_head(9, 1024).requires_grad_(False)
    layers = random_layers((9, 4, 64, 1024), torch.bfloat16)
    expected = score_candidates(layers, head)
    running = RunningScore(head, 4)
    active = torch.ones(4, dtype=torch.bool, device=DEVICE)
    streams = [torch.cuda.Stream() for _ in range(2)]
    scores = []
    torch.cuda.synchronize()
    for token in range(64):
        with torch.cuda.stream(streams[0]):
            scores.append(score_candidates(layers, head))
        with torch.cuda.stream(streams[1]):
            running.update([layer[:, token : token + 1] for layer in layers], active)
    torch.cuda.synchronize()
    assert all(torch.equal(score, expected) for score in scores)
    torch.testing.assert_close(running.scores(), expected, rtol=1e-5, atol=1e-6)


def test_growing_and_shrinking_batches():
    """The memory of one launch is replaced by a larger one while the launch may still run."""
    head = random_head(9, 1024).requires_grad_(False)
    sizes = [(1, 1), (4, 64), (2, 7), (16, 300), (1, 64), (33, 65), (1, 1)]
    batches = [random_layers((9, *size, 1024), torch.bfloat16) for size in sizes]
    expected = [score_candidates(layers, head, backend="torch") for layers in batches]
    stream = torch.cuda.Stream()  # with no memory of its own yet
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        actual = [score_candidates(layers, head) for layers in batches for _ in range(5)]
    torch.cuda.synchronize()
    for index, scores in enumerate(actual):
        torch.testing.assert_close(scores, expected[index // 5], rtol=1e-4, atol=1e-5)


if torch.cuda.device_count() > 1:

    def test_a_gpu_that_is_not_the_current_one():
        head, layers = random_head(2, 256), random_layers((2, 3, 100, 256), torch.bfloat16)
        expected = score_candidates(layers, head).detach()
        other = torch.device("cuda", 1)
        head, layers = head.to(other), [layer.to(other) for layer in layers]
        scores = score_candidates(layers, head)
        scores.sum().backward()
        assert scores.device == head.reward_weight.grad.device == other
        assert torch.equal(scores.detach().to(DEVICE), expected)
