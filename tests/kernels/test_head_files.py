"""Saving a head and loading it again, from a folder and from the hub."""

import json

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file

from reference_inputs import assert_same_head, random_head
from swift_kernels import RewardHead, head_files
from swift_kernels.head_files import CONFIG_NAME, WEIGHTS_NAME

KINDS = {
    "gated": {},
    "ungated": {"gated": False},
    "subset": {"layers": [0, 2], "base_model": "someone/some-model", "scored_tokens": "response"},
    "logits": {"feature": "logits"},
}


@pytest.fixture
def head():
    return random_head(3, 24).cpu()


@pytest.fixture
def folder(head, tmp_path):
    head.save_pretrained(tmp_path / "head")
    return tmp_path / "head"


# Round trips.


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind, tmp_path):
    head = random_head(3, 24, **KINDS[kind]).cpu()
    head.save_pretrained(tmp_path / "new" / "head")
    for source in (tmp_path / "new" / "head", str(tmp_path / "new" / "head")):
        assert_same_head(RewardHead.from_pretrained(source), head)


def test_relative_path(head, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head.save_pretrained("head")
    assert_same_head(RewardHead.from_pretrained("head"), head)


def test_half_precision_head_comes_back_as_float32(head, tmp_path):
    head.to(torch.bfloat16).save_pretrained(tmp_path)
    assert_same_head(RewardHead.from_pretrained(tmp_path), head.float())


def test_to_a_device(folder):
    assert RewardHead.from_pretrained(folder, device="meta").reward_weight.device.type == "meta"


def test_saving_again_replaces(folder):
    other = random_head(2, 5, seed=9, gated=False).cpu()
    other.save_pretrained(folder)
    assert_same_head(RewardHead.from_pretrained(folder), other)


def test_files(head, folder):
    names = {file.name for file in folder.iterdir()}
    assert names == {CONFIG_NAME, WEIGHTS_NAME, "README.md"}
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]  # nothing left over
    tensors = load_file(folder / WEIGHTS_NAME)
    assert tensors.keys() == head.state_dict().keys()


def test_config(tmp_path):
    random_head(3, 24, **KINDS["subset"]).save_pretrained(tmp_path)
    assert json.loads((tmp_path / CONFIG_NAME).read_text()) == {
        "num_layers": 3,
        "hidden_size": 24,
        "gated": True,
        "layers": [0, 2],
        "base_model": "someone/some-model",
        "scored_tokens": "response",
        "feature": "hidden_states",
        "model_type": "swift_head",
    }


def test_keys_of_a_later_version_are_ignored(head, folder):
    config = json.loads((folder / CONFIG_NAME).read_text())
    (folder / CONFIG_NAME).write_text(json.dumps({**config, "new_key": [1]}))
    assert_same_head(RewardHead.from_pretrained(folder), head)


def test_model_card(tmp_path):
    head = random_head(3, 24, base_model="someone/some-model")
    training = "On 1,500 questions, seed 7."
    head.save_pretrained(tmp_path, model_card_kwargs={"training": training})
    card = (tmp_path / "README.md").read_text()
    data = huggingface_hub.ModelCard(card).data
    assert data.library_name == "swift-kernels"
    assert data.license == "apache-2.0"
    assert {"reward-model", "best-of-n"} <= set(data.tags)
    assert "# SWIFT head for someone/some-model" in card
    assert training in card


def test_model_card_without_training(folder):
    card = (folder / "README.md").read_text()
    assert "# SWIFT head\n" in card
    assert "How it was trained was not recorded." in card


def test_loading_takes_no_other_arguments(folder):
    for argument in ({"scored_tokens": "response"}, {"gated": False}, {"map_location": "cpu"}):
        with pytest.raises(TypeError, match=f"from_pretrained got {next(iter(argument))}"):
            RewardHead.from_pretrained(folder, **argument)


# The hub.


@pytest.fixture
def hub(folder, monkeypatch):
    """A hub with one head, `someone/head`, in the test's folder; records what is asked for."""
    asked = []

    def download(repo_id, filename, **options):
        asked.append((repo_id, filename, options.get("revision")))
        return str(folder / filename)

    monkeypatch.setattr(head_files, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub.hub_mixin, "hf_hub_download", download)
    return asked


@pytest.mark.parametrize("name", ["someone/head", "head-of-nobody"])
def test_names_that_are_no_folder_are_hub_ids(name, head, hub):
    assert_same_head(RewardHead.from_pretrained(name, revision="v2"), head)
    assert {(name, CONFIG_NAME, "v2"), (name, WEIGHTS_NAME, "v2")} == set(hub)


@pytest.mark.parametrize("name", ["./no", "../no", "~/no", "/no/such/folder", "a/b/no"])
def test_names_that_are_paths_are_no_hub_ids(name, hub, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="^there is no folder"):
        RewardHead.from_pretrained(name)
    assert hub == []


def test_damaged_weights_from_the_hub(hub, folder):
    (folder / WEIGHTS_NAME).write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match="model.safetensors of someone/head is damaged"):
        RewardHead.from_pretrained("someone/head")


def test_pushing_uses_the_folder_s_name(head, tmp_path, monkeypatch):
    pushed = []
    monkeypatch.setattr(
        RewardHead, "push_to_hub", lambda self, repo_id, **_: pushed.append(repo_id)
    )
    head.save_pretrained(tmp_path / "my-head", push_to_hub=True)
    head.save_pretrained(tmp_path / "my-head", push_to_hub=True, repo_id="me/other")
    assert pushed == ["my-head", "me/other"]


# A save that fails.


@pytest.mark.parametrize("function", ["save_safetensors", "json"])
def test_failed_save_keeps_the_old_head(function, head, folder, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    target = head_files.json if function == "json" else head_files
    monkeypatch.setattr(target, "dumps" if function == "json" else function, fail)
    with pytest.raises(OSError, match="No space left"):
        random_head(3, 24, seed=9).save_pretrained(folder)
    monkeypatch.undo()
    assert_same_head(RewardHead.from_pretrained(folder), head)
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]


def test_interrupted_first_save_leaves_no_head(head, tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(head_files, "save_safetensors", interrupt)
    with pytest.raises(KeyboardInterrupt):
        head.save_pretrained(tmp_path / "head")
    assert list(tmp_path.iterdir()) == []


def test_saving_where_a_file_stands(head, tmp_path):
    (tmp_path / "head").write_text("mine")
    with pytest.raises(FileExistsError):
        head.save_pretrained(tmp_path / "head")
    assert (tmp_path / "head").read_text() == "mine"
