"""What a name may stand for, and what is said where it stands for nothing; the hub is not there."""

import io
import json
import time
import urllib.error

import pytest
import torch
from huggingface_hub import constants
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Qwen2ForSequenceClassification

from swift_bon import load_head, load_model
from swift_bon.models import load_tokenizer
from swift_kernels import RewardHead, hub
from tiny_models import tiny_model, tiny_tokenizer


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, tmp_path):
    """A hub that refuses to be connected to; counts how often that is tried."""
    tries = []

    def refuse(request, timeout):
        tries.append(timeout)
        raise urllib.error.URLError(ConnectionRefusedError(111, "Connection refused"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)
    return tries


NO_FOLDER = "there is no such folder"


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (load_head, "mine", f"head is 'mine': {NO_FOLDER}, .*smollm2-135m.*'org/name'"),
        (load_head, "some.org/a-head", f"head is 'some.org/a-head': {NO_FOLDER}.*does not answer"),
        (RewardHead.from_pretrained, "mine", f"head is 'mine': {NO_FOLDER}.*does not answer"),
        (load_model, "a/b/c", f"model is 'a/b/c': {NO_FOLDER}; .*'smollm2-135m'.*'org/name'"),
        (load_model, "../x", f"model is '../x': {NO_FOLDER}"),
        (load_model, "gpt-none", f"^model is 'gpt-none': {NO_FOLDER}.*does not answer.*refused"),
        (load_model, "org/none", f"^model is 'org/none': {NO_FOLDER}.*does not answer.*refused"),
        (load_tokenizer, "org/none", f"tokenizer is 'org/none': {NO_FOLDER}.*does not answer"),
        (load_tokenizer, "~/none", f"tokenizer is '~/none': {NO_FOLDER}"),
    ],
)
def test_names_of_nothing(load, name, message, no_hub):
    started = time.monotonic()
    with pytest.raises(FileNotFoundError, match=message):
        load(name)
    assert time.monotonic() - started < 5
    assert len(no_hub) == ("does not answer" in message)  # asked once, and only for a hub id


def test_offline_by_choice(monkeypatch, no_hub):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match="HF_HUB_OFFLINE is set"):
        load_head("org/a-head")
    assert no_hub == []


def test_a_hub_that_answers_is_asked(monkeypatch):
    def answer(request, timeout):
        raise urllib.error.HTTPError(request.full_url, 403, "Forbidden", None, None)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    assert hub.why_unreachable() == ""
    monkeypatch.setattr(urllib.request, "urlopen", lambda request, timeout: io.BytesIO())
    assert hub.why_unreachable() == ""


def test_folders_that_lack_something(tmp_path):
    (tmp_path / "empty").mkdir()
    tiny_tokenizer().save_pretrained(tmp_path / "no-model")
    tiny_model("gpt2").save_pretrained(tmp_path / "no-tokenizer")
    tiny_model("qwen2").save_pretrained(tmp_path / "none-either")
    (tmp_path / "file").write_text("x")
    for name, message in [
        ("empty", r"model is 'empty', a folder without config\.json; it holds \[\]"),
        ("no-model", r"a folder without config\.json; it holds \['chat_template"),
        ("no-tokenizer", r"tokenizer is 'no-tokenizer', where there is none.*save_pretrained"),
        ("none-either", r"tokenizer is 'none-either', where there is none.*save_pretrained"),
        ("file", "model is 'file', a file; expected a folder or a hub id"),
    ]:
        with pytest.raises((FileNotFoundError, ValueError), match=message):
            load_model(name)
    with pytest.raises(FileNotFoundError, match="tokenizer is 'empty', a folder without files"):
        load_tokenizer("empty")


def test_a_checkpoint_without_a_language_model_head():
    Qwen2ForSequenceClassification(tiny_model("qwen2").config).save_pretrained("judge")
    tiny_tokenizer().save_pretrained("judge")
    with pytest.raises(ValueError, match=r"'judge', which has no weights for lm_head\.weight"):
        load_model("judge")


def test_a_folder_with_an_adapter_alone(tmp_path):
    model = tiny_model("qwen2", seed=4)
    model.save_pretrained("base")
    tiny_tokenizer().save_pretrained("base")
    model.name_or_path = "base"
    get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2)).save_pretrained("adapter")
    loaded, tokenizer = load_model("adapter", device="cpu")
    assert isinstance(loaded, PeftModel)
    assert not loaded.training
    assert len(tokenizer) == len(tiny_tokenizer())
    ids = torch.arange(9, 15, device="cpu")[None]
    torch.testing.assert_close(loaded(input_ids=ids).logits, model(input_ids=ids).logits)
    path = tmp_path / "adapter/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}))
    with pytest.raises(ValueError, match="an adapter alone.*does not name the base model"):
        load_model("adapter")
