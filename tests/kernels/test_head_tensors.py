"""A head made of tensors that are there: copied, checked, and with no random number drawn."""

import pytest
import torch

from reference_inputs import assert_same_head, random_head
from swift_kernels import RewardHead

CONFIG = {"num_layers": 5, "hidden_size": 24, "layers": [1, 4], "scored_tokens": "response"}


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "ungated"])
def test_is_the_head_that_had_them(gated):
    head = random_head(**CONFIG, gated=gated, base_model="someone/model").cpu()
    assert_same_head(RewardHead.from_tensors(head.state_dict(), **head.config()), head)


def test_weights_are_copied_as_float32_parameters():
    tensors = {name: value.half() for name, value in random_head(**CONFIG).state_dict().items()}
    expected = tensors["reward_weight"].float().cpu()
    head = RewardHead.from_tensors(tensors, **CONFIG)
    tensors["reward_weight"].zero_()
    assert torch.equal(head.reward_weight, expected)
    for parameter in head.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.requires_grad and parameter.is_leaf


def from_tensors(head, folder):
    return RewardHead.from_tensors(head.state_dict(), **head.config())


def from_pretrained(head, folder):
    head.save_pretrained(folder)
    return RewardHead.from_pretrained(folder)


def from_reference_checkpoint(head, folder):
    weight = torch.stack([head.gate_weight.flatten(), head.reward_weight.flatten()]).detach()
    bias = torch.stack([head.gate_bias, head.reward_bias]).detach()
    torch.save({"fused_layer.weight": weight, "fused_layer.bias": bias}, folder / "head.pt")
    return RewardHead.from_reference_checkpoint(folder / "head.pt", **CONFIG)


@pytest.mark.parametrize("load", [from_tensors, from_pretrained, from_reference_checkpoint])
def test_draws_no_random_number(load, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the generator was forked, or numbers were drawn")

    head = random_head(**CONFIG).cpu()
    monkeypatch.setattr(torch.random, "fork_rng", refuse)
    before = torch.get_rng_state()
    assert_same_head(load(head, tmp_path), head)
    assert torch.equal(torch.get_rng_state(), before)


def test_errors_name_the_source():
    tensors = random_head(**CONFIG).state_dict()
    del tensors["gate_bias"]
    with pytest.raises(ValueError, match=r"^the fit holds the tensors .* expected \['gate_bias'"):
        RewardHead.from_tensors(tensors, **CONFIG, source="the fit")
    with pytest.raises(ValueError, match=r"^reward_weight in tensors has shape \(2, 24\)"):
        RewardHead.from_tensors(random_head(**CONFIG).state_dict(), 3, 24)
    with pytest.raises(ValueError, match="^num_layers is 0"):
        RewardHead.from_tensors(tensors, 0, 24)


class ScaledHead(RewardHead):
    """A user's head, with a tensor that is in no file."""

    def __init__(self, num_layers, hidden_size, **kwargs):
        super().__init__(num_layers, hidden_size, **kwargs)
        self.register_buffer("scale", torch.tensor([2.0, 3.0]), persistent=False)


def test_a_subclass_keeps_the_tensors_that_it_makes(tmp_path):
    ScaledHead(2, 4).save_pretrained(tmp_path)
    before = torch.random.get_rng_state()
    assert ScaledHead.from_pretrained(tmp_path).scale.tolist() == [2.0, 3.0]
    assert torch.equal(torch.random.get_rng_state(), before)
