"""Random streams: stable seeds, the right distribution, no candidate knows its neighbours."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swift_bon import best_of_n
from swift_bon.generation.sampling import DRAWN_AHEAD, CandidateSampler
from swift_bon.seeds import stream_seed
from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer

INF = float("inf")
NO_IDS = torch.zeros(1, 0, dtype=torch.int64)


def sample(logits: torch.Tensor, seeds) -> list[int]:
    """The tokens `[N]` that a sampler leaves of the logits `[N, V]`."""
    left = CandidateSampler(seeds)(NO_IDS, logits)
    assert left.shape == logits.shape
    assert left.dtype == logits.dtype
    assert (left == 0).sum(dim=1).tolist() == [1] * len(logits)  # one token, at logit 0
    assert left.isneginf().sum(dim=1).tolist() == [logits.shape[1] - 1] * len(logits)
    return left.argmax(dim=1).tolist()


# Seeds.


@pytest.mark.parametrize(
    ("key", "seed"),
    [
        ((), 8203414616412130826),
        ((0, 0), 5065985854747894184),
        (((7, 3), 1), 1716520710779698525),
        ((("0", "capital of France"), 5), 4946176047564337437),
        (("é", None, 1.5), 8690603137687894525),
    ],
)
def test_seeds_are_those_of_every_release(key, seed):
    """A change here changes what a seed samples: candidates collected before cannot be resumed."""
    assert stream_seed(*key) == seed


def test_tokens_of_a_seed_are_those_of_every_release():
    sampler = CandidateSampler([stream_seed(0, 0), stream_seed(0, 1)])
    tokens = [sampler(NO_IDS, torch.zeros(2, 1000)).argmax(dim=1).tolist() for _ in range(4)]
    assert tokens == [[295, 392], [7, 468], [674, 306], [976, 432]]


def test_seeds_fit_a_generator_and_differ():
    seeds = [stream_seed(0, prompt, n) for prompt in range(50) for n in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    for seed in (0, 2**63 - 1, *seeds[:3]):
        torch.Generator().manual_seed(seed)
    assert stream_seed(1, 23) != stream_seed(12, 3)  # parts do not run together


# Distribution.


@pytest.mark.parametrize(
    "logits",
    [
        pytest.param([0.0, 1.0, 2.0, -1.0, 0.5], id="plain"),
        pytest.param([-INF, 1.0, -INF, -1.0, -INF], id="most-left-out"),
        pytest.param([300.0, 301.0, 299.0, -300.0, 300.5], id="large"),
        pytest.param([0.0] * 33, id="flat"),
    ],
)
def test_tokens_follow_the_softmax(logits):
    num_draws = 20_000
    logits = torch.tensor(logits)
    seeds = [stream_seed("distribution", draw) for draw in range(num_draws)]
    tokens = torch.tensor(sample(logits.expand(num_draws, -1), seeds))
    expected = logits.double().softmax(dim=0) * num_draws
    counts = tokens.bincount(minlength=len(logits))
    assert counts[expected == 0].sum() == 0
    kept = expected > 1
    chi_square = ((counts[kept] - expected[kept]) ** 2 / expected[kept]).sum()
    freedom = int(kept.sum()) - 1
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5 + 4, f"{chi_square=:.1f} {freedom=}"


def test_successive_tokens_of_a_stream_are_independent():
    num_draws = 4000
    sampler = CandidateSampler([3])
    logits = torch.zeros(1, 4)
    tokens = torch.tensor([sampler(NO_IDS, logits).argmax().item() for _ in range(num_draws)])
    pairs = (tokens[:-1] * 4 + tokens[1:]).bincount(minlength=16)
    expected = (num_draws - 1) / 16
    assert ((pairs - expected) ** 2 / expected).sum() < 15 + 4 * 30**0.5


@given(
    st.lists(
        st.one_of(st.just(-INF), st.floats(-1e4, 1e4, width=32), st.just(0.0)),
        min_size=1,
        max_size=40,
    ).filter(lambda logits: max(logits) > -INF),
    st.integers(0, 2**63 - 1),
)
def test_a_token_left_out_is_never_taken(logits, seed):
    (token,) = sample(torch.tensor([logits]), [seed])
    assert logits[token] > -INF
    assert torch.tensor(logits).softmax(dim=0)[token] > 0


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53, 0.5])
@pytest.mark.parametrize("size", [1, 2, 1000, 100_003])
def test_ends_of_the_uniform_number(monkeypatch, uniform, size):
    """The last number below 1 must not run over the end, nor take a token that was left out."""
    monkeypatch.setattr(torch, "rand", lambda *size, **kwargs: torch.full(size, uniform).double())
    logits = torch.randn(1, size, generator=torch.Generator().manual_seed(0))
    logits[0, size // 2 + 1 :] = -INF
    if size > 2:
        logits[0, 0] = -INF
    (token,) = sample(logits, [0])
    kept = logits[0].isfinite().nonzero().flatten()
    assert token in kept.tolist()
    if uniform != 0.5:
        assert token == (kept[0] if uniform == 0.0 else kept[-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtypes(dtype):
    logits = torch.tensor([[-INF, 0.0, 3.0]] * 50, dtype=dtype)
    assert set(sample(logits, range(50))) == {1, 2}


# Batches.


def test_a_candidate_does_not_depend_on_its_neighbours():
    generator = torch.Generator().manual_seed(0)
    steps = [torch.randn(6, 50, generator=generator) for _ in range(2 * DRAWN_AHEAD + 1)]
    seeds = [stream_seed("batch", row) for row in range(6)]

    def run(rows) -> list[list[int]]:
        sampler = CandidateSampler([seeds[row] for row in rows])
        return [sampler(NO_IDS, logits[rows]).argmax(dim=1).tolist() for logits in steps]

    together = run([0, 1, 2, 3, 4, 5])
    for rows in ([0], [5], [4, 2], [5, 4, 3, 2, 1, 0]):
        assert run(rows) == [[step[row] for row in rows] for step in together]
    assert len(set(zip(*together, strict=True))) == 6


def test_the_global_random_stream_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    sample(torch.zeros(4, 5), [1, 2, 3, 4])
    assert torch.equal(torch.rand(3), expected)


# Logits that are no distribution.


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_cannot_be_sampled_end_in_an_error(bad):
    model = tiny_model("llama")
    with torch.no_grad():
        model.lm_head.weight[7] = bad
    with pytest.raises(ValueError, match="logits hold NaN or inf for 3 of 3 candidates"):
        best_of_n(model, tiny_tokenizer(), "abc", RewardHead(4, 32), 3, max_new_tokens=4)
