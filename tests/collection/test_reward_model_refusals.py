"""Reward models: what loads, and what is refused before anything runs for long."""

import json
import math
import re

import pytest
import torch
import transformers

from scoring_cases import (
    conversation_ids,
    reward_model,
    shared_reward_model,
    texted_prompts,
)
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.collection.reward_forward import longest_text
from swift_bon.collection.reward_models import RewardModelScorer, default_name, load_reward_model
from tiny_models import CHAT_TEMPLATE, build, tiny_model, tiny_tokenizer

PROMPTS = texted_prompts()
FIRST = re.escape(PROMPTS[0].id)
RAISES = "{{ raise_exception('roles must start with system') }}"


@pytest.mark.parametrize(("name", "longest"), [("llama", 64), ("gpt2", 64), ("roberta", 62)])
def test_texts_longer_than_the_context(name, longest):
    """RoBERTa counts positions from behind the padding's, so it reads fewer than it says."""
    model = reward_model(name, max_position_embeddings=64, pad_token_id=1)
    assert longest_text(model) == longest
    scorer = RewardModelScorer(model, tiny_tokenizer())
    for length, is_refused in ((longest, False), (longest + 1, True)):
        texts = ["a", "b" * (length - 6)]  # beside 2 of the prompt and 4 of the template
        candidates = [StoredCandidate(text, [], True) for text in texts]
        prompt = PromptCandidates("p-7", "ab", "", candidates)
        assert len(conversation_ids(prompt, 1)) == length
        if is_refused:
            with pytest.raises(
                ValueError,
                match=f"candidate 1 of prompt 'p-7' has {length} tokens .* from 1 to {longest}; ",
            ):
                scorer.check(prompt)
        else:
            scorer.check(prompt)
            assert all(map(math.isfinite, scorer.score([prompt])[0].scores))


def test_models_that_do_not_say_how_much_they_read():
    model = reward_model()
    for context in (0, -1):  # as XLNet
        model.config.max_position_embeddings = context
        assert longest_text(model) == math.inf


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "the tokenizer of 'tiny/reward-llama' has no chat template.* set tokenizer.chat_t"),
        (RAISES, f"cannot render prompt '{FIRST}' .* roles must start with system"),
        ("{{ '' }}", f"candidate 0 of prompt '{FIRST}' has 0 tokens"),
    ],
    ids=["none", "raises", "empty"],
)
def test_chat_templates_that_do_not_do(template, message):
    with pytest.raises(ValueError, match=message):
        RewardModelScorer(shared_reward_model(), tiny_tokenizer(template)).check(PROMPTS[0])


def test_tokenizer_of_another_model():
    scorer = RewardModelScorer(reward_model(vocab_size=20), tiny_tokenizer())
    with pytest.raises(ValueError, match="has the token id 6., the reward model knows only 20"):
        scorer.check(PromptCandidates("p", "z. ", "", [StoredCandidate("!", [], True)]))


def test_batch_size_is_checked():
    with pytest.raises(ValueError, match="batch_size is 0"):
        RewardModelScorer(shared_reward_model(), tiny_tokenizer(), 0)


def test_origin_tells_weights_and_templates_apart():
    model = reward_model()
    origin = RewardModelScorer(model, tiny_tokenizer()).origin
    assert origin == RewardModelScorer(reward_model(), tiny_tokenizer()).origin
    assert origin["reward_model"] == "tiny/reward-llama"
    assert origin != RewardModelScorer(model, tiny_tokenizer("{{ messages }}")).origin
    model.score.weight.data += 0.1
    assert origin != RewardModelScorer(model, tiny_tokenizer()).origin


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("Skywork/Skywork-Reward-Llama-3.1-8B-v0.2", "Skywork-Reward-Llama-3.1-8B-v0.2"),
        ("/models/rm/", "rm"),
        ("C:\\models\\rm", "rm"),
        ("rm", "rm"),
        ("/c/hub/models--org--my-rm/snapshots/0a1b2c", "my-rm"),
    ],
)
def test_default_name(model_id, name):
    assert default_name(model_id) == name


def test_load(tmp_path):
    model = reward_model(dtype=torch.bfloat16)
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    loaded, tokenizer = load_reward_model(str(tmp_path), device="cpu")
    assert (loaded.dtype, loaded.training) == (torch.bfloat16, False)
    assert loaded.name_or_path == str(tmp_path)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert torch.equal(loaded.score.weight, model.score.weight)
    exact, _ = load_reward_model(str(tmp_path), dtype=torch.float32)
    assert exact.dtype == torch.float32


def test_a_language_model_is_no_reward_model(tmp_path):
    model = tiny_model("llama")
    tiny_tokenizer().save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has num_labels 2, expected 1"):
        load_reward_model(str(tmp_path))
    model.config.num_labels = 1
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"has no weights for score.weight, which would be random"):
        load_reward_model(str(tmp_path))


def test_models_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="tiny/reward-llama has num_labels 3, expected 1"):
        RewardModelScorer(reward_model(num_labels=3), tiny_tokenizer())
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 64}
    config = transformers.BartConfig(**sizes, num_labels=1)
    model = build(transformers.BartForSequenceClassification, config)
    with pytest.raises(ValueError, match="is an encoder-decoder model"):
        RewardModelScorer(model, tiny_tokenizer())


def test_code_of_a_checkpoint_never_runs(tmp_path, monkeypatch):
    """Not even after a question: on a terminal transformers would ask."""
    monkeypatch.setattr("builtins.input", lambda *text: pytest.fail("asked"))
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass C: pass\nclass M: pass\n")
    names = {"AutoConfig": "evil.C", "AutoModelForSequenceClassification": "evil.M"}
    config = {"model_type": "evil", "auto_map": names, "num_labels": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="trust_remote_code"):
        load_reward_model(str(tmp_path))
    assert not ran.exists()
