"""Reward models: scores as of each conversation alone, whatever stands beside it in a batch."""

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from scoring_cases import (
    conversation_ids,
    reward_model,
    score_alone,
    shared_reward_model,
    texted_prompts,
)
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.collection import reward_models
from swift_bon.collection.reward_forward import reward_forward
from swift_bon.collection.reward_models import RewardModelScorer
from tiny_models import BOS, CHAT_TEMPLATE, EOS, PAD, tiny_tokenizer

PROMPTS = texted_prompts()


@pytest.fixture
def batches(monkeypatch):
    """The token ids of each forward of the test."""
    batches = []

    def record(model, rows):
        batches.append([list(row) for row in rows])
        return reward_forward(model, rows)

    monkeypatch.setattr(reward_models, "reward_forward", record)
    return batches


def assert_as_alone(model, batch_size: int, prompts=PROMPTS) -> None:
    rows = RewardModelScorer(model, tiny_tokenizer(), batch_size).score(prompts)
    assert len(rows) == len(prompts)
    for row, prompt in zip(rows, prompts, strict=True):
        expected = [score_alone(model, prompt, n) for n in range(len(prompt.candidates))]
        assert row.scores == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert row.token_scores == [None] * len(expected)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize("name", ["llama", "qwen2", "mistral", "gpt2", "bert", "roberta", "fnet"])
def test_scores_are_those_of_each_conversation_alone(name, batch_size):
    assert_as_alone(shared_reward_model(name), batch_size)


def test_the_conversations_differ_where_it_matters():
    """Or the test above would show little."""
    ids = [conversation_ids(p, n) for p in PROMPTS for n in range(len(p.candidates))]
    assert len(set(map(len, ids))) > 5
    scores = {
        round(score_alone(shared_reward_model(), p, n), 3)
        for p in PROMPTS
        for n in range(len(p.candidates))
    }
    assert len(scores) > 15


@pytest.mark.parametrize("pad_token_id", [None, -1, PAD, EOS], ids=["none", "minus", "pad", "end"])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_where_the_text_ends_is_as_alone(name, pad_token_id):
    """Every conversation ends with EOS; a model that pads with EOS reads the token before it."""
    model = reward_model(name)
    model.config.pad_token_id = pad_token_id
    assert_as_alone(model, 4)
    assert model.config.pad_token_id == pad_token_id


def test_models_without_padding_may_end_with_any_token():
    model = reward_model()
    model.config.pad_token_id = None
    rows = [(9, 8, 7, end) for end in range(5)] + [(9, 8, 7, 6, 5, end) for end in range(5)]
    alone = [model(torch.tensor([row])).logits.item() for row in rows]
    assert reward_forward(model, rows) == pytest.approx(alone, rel=1e-4, abs=1e-4)


def test_padding_does_not_outlive_an_error():
    model = reward_model()
    model.config.pad_token_id = None
    model.score = None
    with pytest.raises(TypeError):
        reward_forward(model, [(9, 8), (9,)])
    assert model.config.pad_token_id is None


def test_bfloat16_and_training_mode():
    model = reward_model(dtype=torch.bfloat16, attention_dropout=0.5).train()
    scorer = RewardModelScorer(model, tiny_tokenizer(), 8)
    assert not model.training
    first, again = scorer.score(PROMPTS), scorer.score(PROMPTS)
    assert first == again
    exact = RewardModelScorer(reward_model(), tiny_tokenizer(), 8).score(PROMPTS)
    for row, other in zip(first, exact, strict=True):
        assert row.scores == pytest.approx(other.scores, abs=0.3)


def test_nothing_is_kept_for_a_next_token():
    outputs = []
    model = reward_model()
    model.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    RewardModelScorer(model, tiny_tokenizer()).score(PROMPTS)
    assert outputs
    assert all(getattr(output, "past_key_values", None) is None for output in outputs)
    assert all(getattr(output, "cache", None) is None for output in outputs)
    assert not any(output.logits.requires_grad for output in outputs)


def test_batches_are_of_similar_length_and_each_text_runs_once(batches):
    RewardModelScorer(shared_reward_model(), tiny_tokenizer(), 4).score(PROMPTS)
    rows = [tuple(row) for batch in batches for row in batch]
    assert [len(row) for row in rows] == sorted(map(len, rows), reverse=True)
    assert [len(batch) for batch in batches[:-1]] == [4] * (len(batches) - 1)
    texts = {tuple(conversation_ids(p, n)) for p in PROMPTS for n in range(len(p.candidates))}
    assert len(rows) == len(set(rows))
    assert set(rows) == texts


def test_a_model_that_reads_padding_gets_none(batches):
    RewardModelScorer(shared_reward_model("fnet"), tiny_tokenizer(), 4).score(PROMPTS)
    assert all(len(set(map(len, batch))) == 1 for batch in batches)
    assert any(len(batch) > 1 for batch in batches)


def test_the_template_alone_gives_special_tokens(batches):
    """The tokenizer would add a BOS of its own. Spaces at the ends of a text stay."""
    tokenizer = tiny_tokenizer("<s>" + CHAT_TEMPLATE)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", BOS)]
    )
    assert tokenizer("a")["input_ids"][0] == BOS
    prompt = PromptCandidates("p", "ab", "", [StoredCandidate(" c ", [], True)])
    RewardModelScorer(shared_reward_model(), tokenizer).score([prompt])
    assert batches == [[[BOS, *conversation_ids(prompt, 0)]]]
    assert conversation_ids(prompt, 0)[-4:] == tiny_tokenizer()(" c </s>")["input_ids"]


def test_no_text_is_cut_by_the_tokenizer(batches):
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.model_max_length = 5
    RewardModelScorer(shared_reward_model(), tokenizer).score(PROMPTS[:1])
    assert batches == [[conversation_ids(PROMPTS[0], 0)]]


def test_out_of_memory_halves_the_batch(monkeypatch):
    sizes = []

    def forward(model, rows):
        sizes.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("no room")
        return reward_forward(model, rows)

    monkeypatch.setattr(reward_models, "reward_forward", forward)
    scorer = RewardModelScorer(shared_reward_model(), tiny_tokenizer(), 8)
    rows = scorer.score(PROMPTS)
    assert sizes[:4] == [8, 4, 2, 2]
    assert set(sizes[2:-1]) == {2}
    assert scorer.batch_size == 2  # the next window begins with what had room
    monkeypatch.undo()
    expected = RewardModelScorer(shared_reward_model(), tiny_tokenizer(), 8).score(PROMPTS)
    for row, other in zip(rows, expected, strict=True):
        assert row.scores == pytest.approx(other.scores, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("error", "room"),
    [(torch.OutOfMemoryError("no room"), 0), (RuntimeError("a shape is wrong"), 3)],
    ids=["not-even-one", "another"],
)
def test_other_errors_come_through(monkeypatch, error, room):
    def forward(model, rows):
        if len(rows) > room:
            raise error
        return [0.0] * len(rows)

    monkeypatch.setattr(reward_models, "reward_forward", forward)
    with pytest.raises(type(error), match=str(error)):
        RewardModelScorer(shared_reward_model(), tiny_tokenizer(), 8).score(PROMPTS)
