"""One prefill per prompt: the same candidates and scores as with a prefill for each."""

import pytest
import torch

from swift_bon.generation import scored_decoding
from swift_bon.generation.best_of import sample_candidates
from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer

CHATS = [[{"role": "user", "content": text}] for text in ("a", "What is it?", "long " * 8)]


@pytest.fixture
def sample(monkeypatch):
    """Candidates, and how many tokens went through the model for them."""

    def sample(model, head, is_shared: bool, **kwargs):
        tokens = 0

        def count(module, args, kwargs):
            nonlocal tokens
            tokens += kwargs["input_ids"].numel()

        with monkeypatch.context() as patch:
            if not is_shared:
                patch.setattr(scored_decoding, "can_share", lambda *args: False)
            handle = model.register_forward_pre_hook(count, with_kwargs=True)
            rows = sample_candidates(
                model, tiny_tokenizer(), CHATS, head, 4, stream_keys="abc", **kwargs
            )
            handle.remove()
        return [candidate for row in rows for candidate in row], tokens

    return sample


@pytest.mark.parametrize("scored_tokens", ["fed", "response"])
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3", "gpt2", "qwen3_moe", "opt"])
def test_sharing_changes_nothing_but_the_work(sample, name, scored_tokens):
    model = tiny_model(name)
    torch.manual_seed(0)
    head = RewardHead(4, 32, scored_tokens=scored_tokens)
    sample(model, head, True, max_new_tokens=2)  # the check of the capture runs once
    shared, shared_tokens = sample(model, head, True, max_new_tokens=6)
    alone, alone_tokens = sample(model, head, False, max_new_tokens=6)
    assert [c.token_ids for c in shared] == [c.token_ids for c in alone]
    torch.testing.assert_close(
        torch.tensor([c.score for c in shared]),
        torch.tensor([c.score for c in alone]),
        atol=1e-5,
        rtol=1e-5,
    )
    width = 43  # the longest prompt with its template
    assert alone_tokens - shared_tokens == 12 * width - (3 * (width - 1) + 12)


@pytest.mark.parametrize("kwargs", [{"use_cache": False}, {"cache_implementation": "static"}])
def test_a_cache_of_its_own_kind_is_respected(sample, kwargs):
    model, head = tiny_model("llama"), RewardHead(4, 32)
    sample(model, head, True, max_new_tokens=2)
    shared, shared_tokens = sample(model, head, True, max_new_tokens=4, **kwargs)
    alone, alone_tokens = sample(model, head, False, max_new_tokens=4, **kwargs)
    assert shared_tokens == alone_tokens
    assert [c.token_ids for c in shared] == [c.token_ids for c in alone]
