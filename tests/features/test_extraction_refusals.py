"""What extraction refuses: settings other than a store was begun with, and bad arguments."""

import dataclasses

import pytest
import torch

from feature_cases import (
    contents,
    extract,
    named_model,
    random_prompts,
    shared_model,
    write_candidates,
)
from swift_bon.candidates.files import write_header
from swift_bon.candidates.records import PromptCandidates
from swift_bon.models.sampled_weights import weights_digest
from tiny_models import CHAT_TEMPLATE, tiny_tokenizer

PROMPTS = random_prompts(16)


def test_settings_of_a_second_run(path, folder):
    extract(path, folder)
    before = contents(folder)
    model, other_weights = shared_model(), named_model()
    other_weights.model.layers[1].mlp.up_proj.weight.data[24:] *= 1.01  # half of its rows
    renamed = named_model()
    renamed.config._name_or_path = renamed.name_or_path = "elsewhere/llama"
    other_template = tiny_tokenizer(CHAT_TEMPLATE.replace("</s>", ""))
    for changes, message in (
        ({"scored_tokens": "response"}, "scored_tokens was 'fed', now 'response'"),
        ({"layers": [0, 1]}, r"layers was \(0, 1, 2, 3\), now \(0, 1\)"),
        ({"dtype": "bfloat16"}, "dtype was 'float16', now 'bfloat16'"),
        ({"projection": "per_layer"}, "projection was 'mixed', now 'per_layer'"),
        ({"projection": None}, "projection was 'mixed', now None"),
        ({"projection_dim": 9}, "projection_dim was 8, now 9"),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"model": other_weights}, "weights was '.*', now '.*'"),
        ({"model": renamed}, "model was 'tiny/llama', now 'elsewhere/llama'"),
        ({"tokenizer": other_template}, "chat_template was '.*', now '.*'"),
    ):
        with pytest.raises(ValueError, match=f"store was made with other settings: .*{message}"):
            extract(path, folder, **{"model": model, **changes})
        assert contents(folder) == before
    extract(path, folder, batch_size=3)


def test_another_model_is_refused(tmp_path, folder):
    path = write_candidates(tmp_path / "b.jsonl", PROMPTS, model="tiny/gpt2")
    with pytest.raises(ValueError, match="was written by the model 'tiny/gpt2', this one is"):
        extract(path, folder)
    assert not folder.exists()


def test_other_tokens_are_refused_and_other_labels_are_not(tmp_path, path, folder, forwarded):
    extract(path, folder)
    before = contents(folder)
    prompt = PROMPTS[3]
    relabelled = [dataclasses.replace(c, correct=not c.correct) for c in prompt.candidates]
    changed = PromptCandidates(prompt.id, prompt.prompt, "?", relabelled)
    forwarded.clear()
    extract(write_candidates(tmp_path / "c.jsonl", [changed]), folder)
    assert not forwarded
    changed = PromptCandidates(prompt.id, prompt.prompt, "?", prompt.candidates[1:])
    other = write_candidates(tmp_path / "d.jsonl", [*random_prompts(18)[16:], changed])
    with pytest.raises(ValueError, match="other tokens for the prompt .* another folder"):
        extract(other, folder)
    assert contents(folder) == before
    assert not forwarded


def test_bad_arguments(tmp_path, path, folder):
    for changes, message in (
        ({"projection": "pca"}, "projection is 'pca'"),
        ({"projection_dim": 0}, "projection_dim is 0"),
        ({"projection": "per_layer", "projection_dim": 3}, "at least one for each of 4 layers"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"layers": [9]}, "layers is"),
        ({"batch_size": 0}, "batch_size is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            extract(path, folder, **changes)
    with pytest.raises(FileNotFoundError, match="no candidates file"):
        extract(tmp_path / "none.jsonl", folder)
    (tmp_path / "empty.jsonl").touch()
    write_header(tmp_path / "empty.jsonl", {"model": "tiny/llama", "task": "t", "split": "s"})
    with pytest.raises(ValueError, match="has no prompts; collect some first"):
        extract(tmp_path / "empty.jsonl", folder)


def test_nothing_to_keep(tmp_path, folder):
    (prompt,) = random_prompts(1)
    path = write_candidates(tmp_path / "b.jsonl", [prompt])
    with pytest.raises(ValueError, match="no candidate in .* has a token that counts: scored_tok"):
        extract(path, folder)
    assert not folder.exists()
    store = extract(path, folder, scored_tokens="response", projection=None)
    assert store.read(0).states.shape == (1, 128)


def test_weights_that_are_not_in_memory():
    model = named_model()
    whole = weights_digest(model)
    assert weights_digest(named_model()) == whole
    norm = model.model.norm
    norm.weight = torch.nn.Parameter(norm.weight.to("meta"))
    assert weights_digest(model) != whole
