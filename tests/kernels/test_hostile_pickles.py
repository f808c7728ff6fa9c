"""A pickle can run any program when it is read. Ours are never executed, wherever they stand."""

from pathlib import Path

import pytest
import torch

from reference_inputs import assert_same_head, random_head
from swift_kernels import RewardHead
from swift_kernels.head_files import WEIGHTS_NAME


@pytest.fixture
def folder(tmp_path):
    random_head(3, 24).save_pretrained(tmp_path / "head")
    return tmp_path / "head"


class WritesFile:
    """Unpickling it writes a file: what a hostile checkpoint would do."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "executed")


@pytest.fixture
def trap(tmp_path):
    """A file that only an executed pickle writes."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def write_hostile(path: Path, trap: Path, is_legacy: bool = False):
    content = {"fused_layer.weight": torch.ones(2, 72), "fused_layer.bias": WritesFile(trap)}
    torch.save(content, path, _use_new_zipfile_serialization=not is_legacy)


@pytest.mark.parametrize("is_legacy", [False, True], ids=["zip", "legacy"])
def test_hostile_pickle_works_on_a_careless_reader(is_legacy, tmp_path):
    write_hostile(tmp_path / "head.pt", tmp_path / "executed", is_legacy)
    torch.load(tmp_path / "head.pt", weights_only=False)
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("is_legacy", [False, True], ids=["zip", "legacy"])
def test_hostile_pickle_as_reference_checkpoint(is_legacy, tmp_path, trap):
    write_hostile(tmp_path / "head.pt", trap, is_legacy)
    with pytest.raises(ValueError, match="head.pt is not a checkpoint of tensors alone"):
        RewardHead.from_reference_checkpoint(tmp_path / "head.pt", 3, 24)


@pytest.mark.parametrize("is_legacy", [False, True], ids=["zip", "legacy"])
def test_hostile_pickle_as_safetensors(is_legacy, folder, trap):
    write_hostile(folder / WEIGHTS_NAME, trap, is_legacy)
    with pytest.raises(ValueError, match="model.safetensors of .* is damaged or not safetensors"):
        RewardHead.from_pretrained(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "head.pt", "model.pth", "model.pkl"])
def test_hostile_pickle_in_a_folder(name, folder, trap):
    (folder / WEIGHTS_NAME).unlink()
    write_hostile(folder / name, trap)
    with pytest.raises(FileNotFoundError, match=f"misses {WEIGHTS_NAME}.*{name} is a pickle"):
        RewardHead.from_pretrained(folder)


def test_hostile_pickle_beside_a_head(folder, trap):
    write_hostile(folder / "pytorch_model.bin", trap)
    assert_same_head(RewardHead.from_pretrained(folder), random_head(3, 24).cpu())


def test_hostile_pickle_instead_of_a_folder(tmp_path, trap):
    write_hostile(tmp_path / "head.pt", trap)
    with pytest.raises(ValueError, match="head.pt is a pickle.*from_reference_checkpoint"):
        RewardHead.from_pretrained(tmp_path / "head.pt")
