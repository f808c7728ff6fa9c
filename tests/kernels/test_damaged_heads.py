"""Folders that hold no head, or a damaged one: each is refused in words that say what is wrong."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from reference_inputs import assert_same_head, random_head
from swift_kernels import RewardHead
from swift_kernels.head_files import CONFIG_NAME, WEIGHTS_NAME


@pytest.fixture
def folder(tmp_path):
    random_head(3, 24).save_pretrained(tmp_path / "head")
    return tmp_path / "head"


def test_file_instead_of_folder(folder):
    with pytest.raises(ValueError, match="model.safetensors is a file, expected a folder"):
        RewardHead.from_pretrained(folder / WEIGHTS_NAME)


@pytest.mark.parametrize("name", [CONFIG_NAME, WEIGHTS_NAME])
def test_missing_file(name, folder):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"head misses {name}"):
        RewardHead.from_pretrained(folder)


CONFIGS = {
    "empty": (b"", "is not JSON"),
    "broken": (b'{"num_layers": 3', "is not JSON"),
    "not_utf8": (b'{"num_layers": "\xff\xfe"}', "is not JSON"),
    "mark": (b'\xef\xbb\xbf{"num_layers": 3, "hidden_size": 24}', "is not JSON"),
    "utf16": ('{"num_layers": 3, "hidden_size": 24}'.encode("utf-16"), "is not JSON"),
    "list": (b"[3, 24]", "expected num_layers and hidden_size"),
    "no_keys": (b"{}", "expected num_layers and hidden_size"),
    "no_hidden_size": (b'{"num_layers": 3}', "expected num_layers and hidden_size"),
    "other_model": (b'{"model_type": "llama", "hidden_size": 24}', "expected num_layers"),
    "float": (b'{"num_layers": 3.0, "hidden_size": 24}', "num_layers is 3.0"),
    "null": (b'{"num_layers": null, "hidden_size": 24}', "num_layers is None"),
    "gated": (b'{"num_layers": 3, "hidden_size": 24, "gated": "false"}', "gated is 'false'"),
    "layers": (b'{"num_layers": 3, "hidden_size": 24, "layers": [0, 9]}', "layers is"),
    "layers_number": (b'{"num_layers": 3, "hidden_size": 24, "layers": 2}', "layers is 2"),
    "choice": (b'{"num_layers": 3, "hidden_size": 24, "scored_tokens": "x"}', "scored_tokens"),
    "deep": (b"[" * 9_000, "is not JSON"),
    "deep_value": (b'{"num_layers": %s, "hidden_size": 2}' % (b"[" * 400 + b"]" * 400), "config"),
    "base_model": (b'{"num_layers": 3, "hidden_size": 24, "base_model": [1]}', "base_model is"),
    # none of these takes the memory that it asks for
    "many_layers": (b'{"num_layers": 10000000, "hidden_size": 24}', r"expected \(10000000, 24\)"),
    "wide": (b'{"num_layers": 3, "hidden_size": 99999999999}', r"expected \(3, 99999999999\)"),
    "large": (b'{"num_layers": 9999999, "hidden_size": 9999999}', "expected those of a model"),
    "no_size": (b'{"num_layers": 3, "hidden_size": 1%s}' % (b"0" * 400), "expected those of a mod"),
    "other_shape": (b'{"num_layers": 4, "hidden_size": 24}', r"reward_weight .*expected \(4, 24\)"),
    "other_gate": (b'{"num_layers": 3, "hidden_size": 24, "gated": false}', "holds the tensors"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_config_that_fits_no_head(case, folder):
    content, message = CONFIGS[case]
    (folder / CONFIG_NAME).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        RewardHead.from_pretrained(folder)
    assert str(folder) in str(error.value)


WEIGHTS = {
    "shape": (lambda x: {**x, "gate_weight": x["gate_weight"].T}, r"gate_weight .*\(24, 3\)"),
    "bias_shape": (lambda x: {**x, "reward_bias": torch.ones(1)}, r"reward_bias .*\(1,\)"),
    "missing": (lambda x: {"reward_weight": x["reward_weight"]}, "holds the tensors"),
    "extra": (lambda x: {**x, "other": torch.ones(1)}, "holds the tensors"),
    "none": (lambda x: {}, "holds the tensors"),
    "nan": (lambda x: {**x, "gate_bias": torch.tensor(float("nan"))}, "gate_bias .*NaN or inf"),
    "inf": (lambda x: {**x, "reward_weight": x["reward_weight"] / 0}, "reward_weight .*NaN or inf"),
    "integers": (lambda x: {**x, "reward_weight": x["reward_weight"].int()}, "dtype torch.int32"),
    "complex": (lambda x: {**x, "reward_bias": torch.tensor(1j)}, "dtype torch.complex64"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_that_fit_no_head(case, folder):
    change, message = WEIGHTS[case]
    changed = {
        name: value.contiguous() for name, value in change(load_file(folder / WEIGHTS_NAME)).items()
    }
    save_file(changed, folder / WEIGHTS_NAME)
    with pytest.raises(ValueError, match=message):
        RewardHead.from_pretrained(folder)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("F8_E8M0", [8]), ("F4", [16]), ("X", [8]), ("U8", [0, 2**64 - 1]), ("U8", [2**40, 2**40])],
)
def test_weights_that_torch_cannot_hold(dtype, shape, folder):
    num_bytes = 0 if 0 in shape else 8
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, num_bytes]}
    header = json.dumps({"reward_bias": entry}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(num_bytes)
    (folder / WEIGHTS_NAME).write_bytes(content)
    with pytest.raises(ValueError, match="model.safetensors of .* is damaged or not safetensors"):
        RewardHead.from_pretrained(folder)


def test_truncated_weights(folder):
    file = folder / WEIGHTS_NAME
    content = file.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(ValueError, match="model.safetensors of .* is damaged"):
            RewardHead.from_pretrained(folder)


def test_flipped_bits_in_the_header(folder):
    content = (folder / WEIGHTS_NAME).read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    num_refused = 0
    for bit in range(0, length * 8, 7):  # 7 and 8 share no factor: every byte, every place in it
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (folder / WEIGHTS_NAME).write_bytes(flipped)
        try:
            loaded = RewardHead.from_pretrained(folder)
        except ValueError:
            num_refused += 1
        else:  # a flip in the header's free text changes no weight
            assert_same_head(loaded, random_head(3, 24).cpu())
    assert num_refused > 0.9 * length * 8 / 7
