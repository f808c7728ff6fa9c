"""How many token ids a model knows, and where they go, also where the embedding is no plain one."""

import peft
import pytest
import torch
from torch import nn

from best_of_cases import assert_same, run
from swift_bon.models.vocabulary import input_device, num_token_ids, pad_token_id
from tiny_models import tiny_model, tiny_tokenizer


class PackedEmbedding(nn.Module):
    """As a quantised one: two numbers in each of its bytes, and no weight of `[V, H]`."""

    def __init__(self, embedding: nn.Embedding):
        super().__init__()
        self.num_embeddings = embedding.num_embeddings
        self.weight = nn.Parameter(torch.zeros(64 * 32 // 2, 1, dtype=torch.uint8), False)
        self.table = embedding

    def forward(self, input_ids):
        return self.table(input_ids)


class WrappedEmbedding(nn.Module):
    """Without a weight of its own, and without a number."""

    def __init__(self, embedding: nn.Embedding):
        super().__init__()
        self.table = embedding

    def forward(self, input_ids):
        return self.table(input_ids)


def with_embedding(wrap):
    model = tiny_model("llama")
    model.set_input_embeddings(wrap(model.get_input_embeddings()))
    return model


def with_adapter(**options):
    options = {"target_modules": ["q_proj"], **options}
    config = peft.LoraConfig(r=2, task_type="CAUSAL_LM", **options)
    return peft.get_peft_model(tiny_model("llama"), config).eval()


MODELS = {
    "plain": lambda: tiny_model("llama"),
    "packed": lambda: with_embedding(PackedEmbedding),
    "wrapped": lambda: with_embedding(WrappedEmbedding),
    "modules to save": lambda: with_adapter(modules_to_save=["embed_tokens"]),
    "adapted": lambda: with_adapter(target_modules=["embed_tokens", "lm_head"]),
    "trainable tokens": lambda: with_adapter(trainable_token_indices={"embed_tokens": [3, 9]}),
}


@pytest.mark.parametrize("kind", MODELS)
def test_an_embedding_of_any_kind(kind):
    model = MODELS[kind]()
    assert num_token_ids(model) == 64
    assert input_device(model) == torch.device("cpu")
    assert pad_token_id(tiny_tokenizer(), model) == 0
    assert_same(run(model), run())


def test_rows_count_not_what_the_configuration_says():
    model = tiny_model("llama")
    model.config.vocab_size = 99
    assert num_token_ids(model) == 64
    model.resize_token_embeddings(72)
    assert num_token_ids(model) == 72


@pytest.mark.parametrize(
    ("pad", "end", "expected"),
    [(7, 2, 7), (64, 2, 2), (-1, 2, 2), (None, 5, 5), (None, None, 0), (64, 64, 0), (-1, None, 0)],
)
def test_what_may_pad(pad, end, expected):
    tokenizer = type("Tokenizer", (), {"pad_token_id": pad, "eos_token_id": end})
    assert pad_token_id(tokenizer, tiny_model("llama")) == expected


def test_padding_is_known_to_the_head_over_the_vocabulary_too():
    """Processors look the logits of padding up."""
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    model.lm_head = nn.Linear(32, 50, bias=False)
    tokenizer.pad_token = "!"
    assert 50 <= tokenizer.pad_token_id < 64
    assert pad_token_id(tokenizer, model) == tokenizer.eos_token_id


@pytest.mark.parametrize("device", [torch.device("cpu"), "cpu", 1])
def test_the_device_is_where_a_module_runs(device):
    """As accelerate's hooks say, alone or among others."""
    model = tiny_model("llama")
    hook = type("Hook", (), {"execution_device": device})
    expected = torch.device("cuda", 1) if device == 1 else torch.device("cpu")
    model._hf_hook = type("Several", (), {"hooks": [object(), hook]})
    assert input_device(model) == expected
    model.model.embed_tokens.to("meta")
    del model._hf_hook
    assert input_device(model) == torch.device("cpu")
