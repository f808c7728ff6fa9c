"""Files know the weights of the model that wrote them, under whatever name it comes."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from feature_cases import named_model
from swift_bon import collect, extract_features, score_with_head, stream_features, train_reward_head
from swift_bon.candidates import read_header
from swift_bon.features.store_files import read_index
from swift_bon.models import UnprovenModelWarning, fingerprint
from swift_bon.models.identity import head_fit
from swift_kernels import RewardHead
from tiny_models import tiny_tokenizer

OPTIONS = {"num_return_sequences": 3, "max_new_tokens": 6, "show_progress": False}
FEATURES = {"projection": None, "show_progress": False}
TOKENIZER = tiny_tokenizer()


def renamed(name: str = "elsewhere/checkpoint-3", **changes):
    model = named_model("qwen2", **changes)
    model.name_or_path = name
    return model


@pytest.fixture
def path(tmp_path):
    collect(named_model("qwen2"), TOKENIZER, tmp_path / "a.jsonl", limit=9, **OPTIONS)
    return tmp_path / "a.jsonl"


def test_from_the_candidates_to_the_head(path, tmp_path):
    """The head that comes out has the fingerprint of the model that wrote the candidates."""
    model = named_model("qwen2")
    expected = fingerprint(model)
    assert read_header(path)["model_fingerprint"] == expected
    store = extract_features(model, TOKENIZER, path, tmp_path / "store", **FEATURES)
    assert read_index(store.folder)[0].fingerprint == expected
    options = {"epochs": 1, "seeds": [0], "validation": 0.4, "show_progress": False}
    _flip_every_other(path)
    head = train_reward_head(path, store.folder, tmp_path / "head", **options).head
    assert RewardHead.from_pretrained(tmp_path / "head").base_model_fingerprint == expected
    assert head_fit(head, renamed()).fit == "same"
    assert head_fit(head, named_model("qwen2", seed=8)).fit == "other"


def _flip_every_other(path):
    """So that there is something to learn."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line.replace('"correct": false', '"correct": true', 1) for line in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("seed", [0, 8], ids=["renamed", "other"])
def test_what_reads_a_file_compares_the_weights(path, tmp_path, seed):
    model = renamed("tiny/qwen2" if seed else "elsewhere/checkpoint-3", seed=seed)
    head = RewardHead(4, 32)
    runs = [
        lambda: collect(model, TOKENIZER, path, limit=10, **OPTIONS),
        lambda: extract_features(model, TOKENIZER, path, tmp_path / "store", **FEATURES),
        lambda: stream_features(model, TOKENIZER, path),
        lambda: score_with_head(path, model, TOKENIZER, head, show_progress=False),
    ]
    for run in runs:
        if seed:
            with pytest.raises(ValueError, match=r"'tiny/qwen2': \d+ of \d+ tensors have other"):
                run()
        else:
            assert run()


def test_a_store_goes_on_only_under_the_name_it_was_begun_with(path, tmp_path):
    """A candidates file goes on under another name of the same weights; a store does not."""
    extract_features(named_model("qwen2"), TOKENIZER, path, tmp_path / "store", **FEATURES)
    collect(renamed(), TOKENIZER, path, limit=11, **OPTIONS)
    expected = "model was 'tiny/qwen2', now 'elsewhere/checkpoint-3'"
    with pytest.raises(ValueError, match=expected):
        extract_features(renamed(), TOKENIZER, path, tmp_path / "store", **FEATURES)
    store = extract_features(named_model("qwen2"), TOKENIZER, path, tmp_path / "store", **FEATURES)
    assert sum(len(shard.prompts) for shard in store.shards) == 11


def test_adapters_and_rounding(path):
    adapted = get_peft_model(named_model("qwen2"), LoraConfig(task_type="CAUSAL_LM", r=2)).eval()
    stream_features(adapted, TOKENIZER, path)
    stream_features(renamed(dtype=torch.bfloat16), TOKENIZER, path)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    with pytest.warns(UnprovenModelWarning, match="this one has adapters at work"):
        stream_features(adapted, TOKENIZER, path)
