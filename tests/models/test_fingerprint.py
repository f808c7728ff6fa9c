"""Sampled values of a model's weights: the same behind wrappers, small, and read anew each time."""

import peft
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torchao.quantization import Int8WeightOnlyConfig, quantize_

from swift_bon.models import fingerprint, sampled_weights
from swift_bon.models.sampled_weights import (
    decode,
    encode,
    positions,
    take_fingerprint,
    weights_digest,
)
from tiny_models import tiny_model

TASK = {"task_type": "CAUSAL_LM", "target_modules": ["q_proj", "down_proj"]}


def adapted(config, arch: str = "qwen2", *, is_at_work: bool = False):
    model = get_peft_model(tiny_model(arch, seed=3), config)
    if is_at_work:
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("lora_", "ia3_", "vera_", "modules_to_save")):
                torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def lora(**changes) -> LoraConfig:
    return LoraConfig(**{**TASK, "r": 3, **changes})


WITHOUT_EFFECT = {
    "lora": lora(),
    "dora": lora(use_dora=True),
    "of-the-embedding": lora(target_modules=["embed_tokens"]),
    "saved-modules": lora(modules_to_save=["lm_head"]),
    "ia3": peft.IA3Config(**TASK, feedforward_modules=["down_proj"]),
    "loha": peft.LoHaConfig(**TASK, r=3),
    "oft": peft.OFTConfig(**TASK, r=0, oft_block_size=4),
}


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_an_adapter_without_effect_is_no_difference(name):
    assert fingerprint(adapted(WITHOUT_EFFECT[name])) == fingerprint(tiny_model("qwen2", seed=3))


def test_compiled_models_and_parts_are_no_difference():
    plain = fingerprint(tiny_model("qwen2", seed=3))
    model = tiny_model("qwen2", seed=3)
    assert fingerprint(torch.compile(model)) == plain
    model.model.layers[1] = torch.compile(model.model.layers[1])
    assert fingerprint(model) == plain
    assert fingerprint(torch.compile(adapted(lora()))) == plain


@pytest.mark.parametrize(
    "config",
    [
        lora(),
        lora(use_dora=True),
        lora(target_modules=["embed_tokens"]),
        lora(modules_to_save=["lm_head"]),
        peft.IA3Config(**TASK, feedforward_modules=["down_proj"]),
        peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    ],
    ids=["lora", "dora", "embedding", "saved-modules", "ia3", "prompts"],
)
def test_an_adapter_at_work_stands_beside_the_weights(config):
    taken, plain = (
        take_fingerprint(model)
        for model in (adapted(config, is_at_work=True), tiny_model("qwen2", seed=3))
    )
    assert taken.weights.keys() == plain.weights.keys()
    assert all(torch.equal(row, plain.weights[key]) for key, row in taken.weights.items())
    assert taken.effects and not plain.effects


def test_what_an_adapter_adds_is_what_a_merge_would():
    model = adapted(lora(), is_at_work=True)
    taken = take_fingerprint(model)
    merged = take_fingerprint(model.merge_and_unload())
    for key, added in taken.effects.items():
        torch.testing.assert_close(taken.weights[key] + added, merged.weights[key])
    assert len(taken.effects) == 6  # three layers, two matrices each


def test_experts_with_adapters():
    targets = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    config = lora(target_modules=[], target_parameters=targets)
    plain = fingerprint(tiny_model("mixtral", seed=3))
    assert fingerprint(adapted(config, "mixtral")) == plain
    assert len(take_fingerprint(adapted(config, "mixtral", is_at_work=True)).effects) == 6


def test_it_is_read_anew_each_time():
    """Whatever changes the weights, also past PyTorch's count of changes, as a merge does."""
    model = adapted(lora(), is_at_work=True)
    seen = [fingerprint(model)]

    def look() -> str:
        seen.append(fingerprint(model))
        return seen[-1]

    assert look() == seen[0]
    layer = model.get_base_model().model.layers[2].self_attn.q_proj
    layer.lora_B["default"].weight.data.mul_(2)
    assert look() not in seen[:-1]
    model.disable_adapter_layers()
    assert look() == fingerprint(tiny_model("qwen2", seed=3))
    model.enable_adapter_layers()
    model.merge_adapter()
    assert look() not in seen[:-1]
    layer.base_layer.weight.data.add_(0.1)
    assert look() not in seen[:-1]


def test_the_mode_of_training_stays():
    model = adapted(lora(lora_dropout=0.5), is_at_work=True)
    resting = fingerprint(model)
    model.train()
    modes = [module.training for module in model.modules()]
    assert fingerprint(model) == resting  # no dropout
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_text_gives_the_same_values_back(dtype):
    taken = take_fingerprint(adapted(lora(), is_at_work=True).to(dtype))
    back = decode(encode(taken))
    for one, two in zip(taken[:3], back[:3], strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_text_is_small():
    shape = {"num_hidden_layers": 40, "hidden_size": 16, "num_attention_heads": 4}
    model = tiny_model("llama", dtype=torch.bfloat16, **shape)
    num_tensors = len(model.state_dict())
    assert num_tensors > 360
    assert len(fingerprint(model)) < 17 * num_tensors
    assert fingerprint(model).isascii() and "\n" not in fingerprint(model)


def test_tied_and_shared_weights_and_what_is_not_in_memory():
    tied = tiny_model("llama", tie_word_embeddings=True)
    assert len(take_fingerprint(tied).weights) == len(tied.state_dict())
    offloaded = tiny_model("llama", seed=4)
    whole = take_fingerprint(offloaded)
    offloaded.model.layers[1] = offloaded.model.layers[1].to("meta")
    partial = take_fingerprint(offloaded)
    assert len(whole.weights) - len(partial.weights) == 9
    assert all(torch.equal(row, whole.weights[key]) for key, row in partial.weights.items())
    assert not take_fingerprint(offloaded.to("meta")).weights


@pytest.mark.parametrize("num_values", [1, 2, 7, 8, 31, 48, 4096, 49152 * 576, 2**31 + 5])
def test_positions_lie_inside(num_values):
    where = list(positions(num_values))
    assert len(where) == 4
    assert 0 <= min(where) <= max(where) < num_values
    if num_values > 30:
        assert len(set(where)) == 4
        assert max(where) - min(where) > num_values // 8


@pytest.mark.parametrize(
    ("num_rows", "more"), [(70, 73), (64, 127), (60, 63), (63, 64), (120, 128)]
)
def test_rows_for_new_tokens_change_nothing(num_rows, more):
    """Until there are as many values as the next power of two."""
    model = tiny_model("llama", vocab_size=num_rows)
    before = take_fingerprint(model)
    model.resize_token_embeddings(more, mean_resizing=False)
    after = take_fingerprint(model)
    changed = {
        key for key, row in before.weights.items() if not torch.equal(row, after.weights[key])
    }
    is_past = num_rows.bit_length() < more.bit_length()
    assert len(changed) == (2 if is_past else 0)  # the embeddings and the language-model head


def test_weights_that_do_not_lie_in_one_piece():
    model = tiny_model("llama", seed=2)
    plain = fingerprint(model)
    layer = model.model.layers[0].mlp.up_proj
    layer.weight = torch.nn.Parameter(layer.weight.detach().t().contiguous().t())
    assert not layer.weight.is_contiguous()
    assert fingerprint(model) == plain


def test_a_digest_of_quantised_weights():
    """It tells to the last bit, also of tensors that are no plain numbers."""
    models = [tiny_model("llama", seed=seed) for seed in (1, 1, 2)]
    for model in models:
        quantize_(model, Int8WeightOnlyConfig())
    one, same, other = map(weights_digest, models)
    assert one == same != other != weights_digest(tiny_model("llama", seed=1))


def test_a_digest_looks_through_wrappers():
    plain = weights_digest(tiny_model("qwen2", seed=3))
    assert weights_digest(adapted(lora())) == plain
    assert weights_digest(torch.compile(tiny_model("qwen2", seed=3))) == plain
    assert weights_digest(adapted(lora(), is_at_work=True)) != plain


GOOD = fingerprint(tiny_model("llama"))


@pytest.mark.parametrize(
    "text",
    ["", "1", GOOD[:-8], GOOD.replace("1 ", "2 ", 1), GOOD.replace("float32", "int4"), GOOD + "é"]
    + [GOOD.replace(" 4 ", f" {count} ") for count in ("0", "-4", "999999999", "four", "7")],
    ids=range(11),
)
def test_a_damaged_text_is_refused(text):
    with pytest.raises(ValueError, match=r"fingerprint of a model is damaged .*make it anew"):
        decode(text)


@pytest.mark.parametrize("value", [7, 0.5, True])
def test_something_else_than_text_is_refused(value):
    with pytest.raises(ValueError, match="fingerprint of a model is damaged .*expected text"):
        decode(value)


class Wrapped:
    """As torchao keeps a quantised weight: its numbers, or what keeps them, in a part of it."""

    def __init__(self, inner):
        self.inner = inner

    def __tensor_flatten__(self):
        return ["inner"], None


def test_parts_of_parts_are_found():
    """Up to torchao 0.17 the numbers of int8 lie two classes deep."""
    numbers = torch.arange(6.0).view(2, 3)
    assert _parts_of("weight", Wrapped(Wrapped(numbers))) == [("weight.inner.inner", False)]
    assert _parts_of("weight", Wrapped(numbers)) == [("weight.inner", False)]
    assert _parts_of("weight", numbers) == [("weight", True)]


def _parts_of(name: str, tensor) -> list[tuple[str, bool]]:
    return [(part, is_plain) for part, _, is_plain in sampled_weights._parts(name, tensor)]
