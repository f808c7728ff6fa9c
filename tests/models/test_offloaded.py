"""Models whose weights are elsewhere until a module runs give what they give in memory."""

import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model
from transformers import AutoModelForCausalLM

from best_of_cases import run
from capture_cases import assert_same_states, capture_forward, forward
from decoding_cases import make_head
from feature_cases import named_model, random_prompts, write_candidates
from swift_bon import extract_features, score_with_head
from swift_bon.models.vocabulary import input_device, num_token_ids
from tiny_models import tiny_model, tiny_tokenizer

PIECES = ["embed_tokens", "rotary_emb", "layers.0", "layers.1", "layers.2", "norm"]


def on_cpu(model, folder):
    return cpu_offload(model, execution_device=torch.device("cpu"))


def on_disk(model, folder):
    disk_offload(model, folder / "disk", execution_device=torch.device("cpu"))
    return model


def in_pieces(model, folder):
    """Every other one on the disk."""
    places = {f"model.{name}": ("disk", "cpu")[i % 2] for i, name in enumerate(PIECES)}
    places["lm_head"] = "disk"
    return dispatch_model(model, places, main_device="cpu", offload_dir=folder / "pieces")


def loaded(model, folder):
    model.save_pretrained(folder / "model")
    return AutoModelForCausalLM.from_pretrained(
        folder / "model", device_map={"": "disk"}, offload_folder=folder / "weights"
    )


WAYS = {"cpu": on_cpu, "disk": on_disk, "pieces": in_pieces, "device_map": loaded}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_candidates_and_scores(way, name, tmp_path):
    expected = run(tiny_model(name))
    model = WAYS[way](tiny_model(name), tmp_path)
    assert model.get_input_embeddings().weight.is_meta
    assert input_device(model) == torch.device("cpu")
    assert num_token_ids(model) == 64
    assert run(model) == expected


@pytest.mark.parametrize("way", WAYS)
def test_captured_states(way, tmp_path):
    expected = forward(tiny_model("llama"), output_hidden_states=True).hidden_states
    states, _ = capture_forward(WAYS[way](tiny_model("llama"), tmp_path))
    assert not any(state.is_meta for state in states)
    assert_same_states(states, expected)


@pytest.mark.parametrize("way", ["disk", "pieces"])
def test_stored_candidates(way, tmp_path):
    found = []
    for name, place in {"memory": lambda model, folder: model, way: WAYS[way]}.items():
        folder = tmp_path / name
        folder.mkdir()
        model = place(named_model(), folder)
        path = write_candidates(folder / "a.jsonl", random_prompts(6))
        score_with_head(path, model, tiny_tokenizer(), make_head(), show_progress=False)
        settings = {"projection": None, "show_progress": False}
        store = extract_features(model, tiny_tokenizer(), path, folder / "store", **settings)
        shards = [file.read_bytes() for file in sorted(store.folder.glob("*.safetensors"))]
        found.append((path.read_text(), shards))
    assert found[0] == found[1]
