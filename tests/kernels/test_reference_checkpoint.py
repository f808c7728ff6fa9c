"""Checkpoints of the paper's code, read and proven equal to its eager form."""

import pytest
import torch
from torch import nn

from reference_inputs import DEVICE, MASKS, random_layers
from swift_kernels import RewardHead, score_candidates


class PaperHead(nn.Module):
    """The paper's head over float32 states, all layers side by side: `[N, T, L*H]`."""

    def __init__(self, width: int, gated: bool):
        super().__init__()
        self.gated = gated
        if gated:
            self.fused_layer = nn.Linear(width, 2)
        else:
            self.reward_layer = nn.Linear(width, 1)

    def forward(self, features, mask):
        if not self.gated:
            rewards = self.reward_layer(features).squeeze(-1)
            return (rewards * mask).sum(1) / mask.sum(1)
        output = self.fused_layer(features)
        gates, rewards = torch.sigmoid(output[..., 0]), output[..., 1]
        return (gates * rewards * mask).sum(1) / (gates * mask).sum(1).clamp(min=1e-8)


@pytest.fixture(params=[True, False], ids=["gated", "ungated"])
def paper_head(request):
    torch.manual_seed(0)
    return PaperHead(3 * 24, request.param)


@pytest.mark.parametrize("is_legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_equals_the_paper_s_head(paper_head, dtype, is_legacy, tmp_path):
    paper_head.to(dtype)
    path = tmp_path / "head.pt"
    torch.save(paper_head.state_dict(), path, _use_new_zipfile_serialization=not is_legacy)
    head = RewardHead.from_reference_checkpoint(path, 3, 24).to(DEVICE)
    assert head.gated == paper_head.gated
    assert head.scored_tokens == "response"
    paper_head.to(DEVICE, torch.float64)
    layers, mask = random_layers((3, 4, 9, 24)), MASKS["left_padding"](4, 9)
    with torch.no_grad():
        expected = paper_head(torch.cat(layers, dim=-1).double(), mask.double())
        torch.testing.assert_close(
            score_candidates(layers, head, mask).double(), expected, rtol=1e-5, atol=1e-6
        )


def test_arguments_of_the_constructor(paper_head, tmp_path):
    torch.save(paper_head.state_dict(), tmp_path / "head.pt")
    kwargs = {"layers": [0, 4, 8], "base_model": "someone/model", "scored_tokens": "fed"}
    head = RewardHead.from_reference_checkpoint(str(tmp_path / "head.pt"), 9, 24, **kwargs)
    assert head.layers == (0, 4, 8)
    assert head.base_model == "someone/model"
    assert head.scored_tokens == "fed"
    head.save_pretrained(tmp_path / "head")
    again = RewardHead.from_pretrained(tmp_path / "head")
    assert again.config() == head.config()
    assert torch.equal(again.reward_weight, head.reward_weight)


WEIGHT, BIAS = torch.ones(2, 72), torch.ones(2)
CONTENTS = {
    "other_width": ({"fused_layer.weight": WEIGHT[:, :71], "fused_layer.bias": BIAS}, "(2, 71)"),
    "rows": ({"fused_layer.weight": WEIGHT[:1], "fused_layer.bias": BIAS}, "(1, 72)"),
    "bias": ({"fused_layer.weight": WEIGHT, "fused_layer.bias": BIAS[0]}, "fused_layer.bias"),
    "no_bias": ({"fused_layer.weight": WEIGHT}, "holds the tensors ['fused_layer.weight']"),
    "other_names": ({"weight": WEIGHT, "bias": BIAS}, "expected ['reward_layer.bias'"),
    "both": ({"fused_layer.weight": WEIGHT, "reward_layer.weight": WEIGHT}, "holds the tensors"),
    "nan": ({"fused_layer.weight": WEIGHT * float("nan"), "fused_layer.bias": BIAS}, "NaN or inf"),
    "integers": ({"fused_layer.weight": WEIGHT.long(), "fused_layer.bias": BIAS}, "torch.int64"),
    "tensor": (WEIGHT, "holds Tensor, expected a dict of tensors"),
    "nested": ({"state_dict": {"weight": WEIGHT}}, "expected a dict of tensors"),
    "numbers": ({"fused_layer.weight": 1.0}, "expected a dict of tensors"),
    "empty": ({}, "holds the tensors []"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_other_contents(case, tmp_path):
    content, message = CONTENTS[case]
    torch.save(content, tmp_path / "head.pt")
    with pytest.raises(ValueError) as error:
        RewardHead.from_reference_checkpoint(tmp_path / "head.pt", 3, 24)
    assert message in str(error.value)
    assert "head.pt" in str(error.value)


@pytest.mark.parametrize("name", ["missing.pt", "."])
def test_no_file(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*expected a .pt file"):
        RewardHead.from_reference_checkpoint(tmp_path / name, 3, 24)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("is_legacy", [False, True], ids=["zip", "legacy"])
def test_damaged_files(is_legacy, tmp_path):
    path = tmp_path / "head.pt"
    content = {"fused_layer.weight": torch.ones(2, 72), "fused_layer.bias": torch.ones(2)}
    torch.save(content, path, _use_new_zipfile_serialization=not is_legacy)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 11):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="head.pt"):
            RewardHead.from_reference_checkpoint(path, 3, 24)
    for bit in range(0, len(whole) * 8, 23):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            RewardHead.from_reference_checkpoint(path, 3, 24)  # a flipped weight cannot be seen
        except ValueError as error:
            assert "head.pt" in str(error)


def test_text_is_no_checkpoint(tmp_path):
    (tmp_path / "head.pt").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match="head.pt is not a checkpoint of tensors alone"):
        RewardHead.from_reference_checkpoint(tmp_path / "head.pt", 3, 24)
