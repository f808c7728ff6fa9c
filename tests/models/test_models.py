"""The embedded model, its head, and clear words where something is missing."""

import json
import os
import pickle

import platformdirs
import pytest
import torch

from swift_bon.models import loading as models
from swift_bon.models.loading import INSTALL_COMMAND, load_head, load_model, load_tokenizer
from swift_bon.models.names import EMBEDDED_NAME
from tiny_models import tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def embedded():
    return load_model(EMBEDDED_NAME, device="cpu")


def test_embedded_model_answers(embedded):
    model, tokenizer = embedded
    assert model.dtype == torch.float32
    assert not model.training
    assert tokenizer.padding_side == "left"
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = model.generate(**inputs, do_sample=False, max_new_tokens=12)
    assert "Paris" in tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])


def test_shipped_head_fits_and_separates(embedded):
    from swift_bon import best_of_n

    model, tokenizer = embedded
    head = load_head()
    assert head.base_model == model.name_or_path == EMBEDDED_NAME
    (result,) = best_of_n(
        model, tokenizer, "What is the capital of France?", head, 4, seed=0, max_new_tokens=12
    )
    assert result.text == result.candidates[result.index].text
    assert result.score == max(candidate.score for candidate in result.candidates)


def test_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr(models, "EMBEDDED_PACKAGE", "no_such_package_here")
    with pytest.raises(FileNotFoundError) as caught:
        load_model(EMBEDDED_NAME)
    assert INSTALL_COMMAND in str(caught.value)


@pytest.mark.parametrize("missing", models.GGUF_READERS)
def test_missing_reader_names_the_command(monkeypatch, tmp_path, missing):
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    find_spec = models.importlib.util.find_spec
    monkeypatch.setattr(
        models.importlib.util,
        "find_spec",
        lambda name: find_spec(name) if name != missing else None,
    )
    with pytest.raises(ModuleNotFoundError, match=f"run: pip install {missing}$"):
        load_model(EMBEDDED_NAME)


def test_killed_conversion_leaves_no_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(models.AutoModelForCausalLM, "from_pretrained", die)
    with pytest.raises(KeyboardInterrupt):
        models.embedded_checkpoint()
    assert list((tmp_path / "swift-kernels").iterdir()) == []


def test_any_path(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    model, tokenizer = load_model(str(tmp_path), dtype=torch.bfloat16, device="cpu")
    assert model.dtype == torch.bfloat16
    assert not model.training
    assert tokenizer.padding_side == "left"
    assert model.name_or_path == str(tmp_path)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickle_where_a_model_should_be_is_never_run(tmp_path):
    folder, proof = tmp_path / "model", tmp_path / "ran"
    tiny_model("llama").save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump(Payload(proof), file)
    with pytest.raises((ValueError, OSError, pickle.UnpicklingError, RuntimeError)):
        load_model(str(folder), device="cpu")
    assert not proof.exists()


@pytest.mark.parametrize("load", [load_model, load_tokenizer])
def test_code_of_a_checkpoint_never_runs(load, tmp_path, monkeypatch):
    """Not even after a question: on a terminal transformers would ask."""
    monkeypatch.setattr("builtins.input", lambda *text: pytest.fail("asked"))
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass C: pass\nclass M: pass\n")
    names = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    config = {"model_type": "evil", "auto_map": names}
    (tmp_path / "config.json").write_text(json.dumps(config))
    if load is load_model:
        tiny_tokenizer().save_pretrained(tmp_path)
    else:
        config = {"auto_map": {"AutoTokenizer": ["evil.C", None]}}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="trust_remote_code"):
        load(str(tmp_path))
    assert not ran.exists()


def test_no_head_ships_for_other_models():
    with pytest.raises(ValueError, match=r"no head ships for the model 'gpt2' \(only for smollm2"):
        load_head(model_name="gpt2")
