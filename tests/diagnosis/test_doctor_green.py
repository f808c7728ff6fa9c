"""Models that are right are green, in every check that looks at them."""

import peft
import pytest
import torch
from torchao.quantization import (
    Int8DynamicActivationInt8WeightConfig,
    Int8WeightOnlyConfig,
    quantize_,
)

from doctor_cases import assert_green, examine
from model_probes import hooks_of
from swift_bon import load_head, load_model
from swift_kernels import RewardHead
from tiny_models import tiny_model, tiny_tokenizer


def with_lora(model):
    """A LoRA that changes what the model says."""
    config = peft.LoraConfig(
        r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return peft.get_peft_model(model, config).eval()


def in_int8(model, config):
    quantize_(model, config)
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2"])  # mistral: a window of 4 tokens
def test_a_plain_model_is_green(name, dtype):
    assert_green(examine(tiny_model(name, dtype)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "config",
    [Int8WeightOnlyConfig(), Int8DynamicActivationInt8WeightConfig()],
    ids=lambda config: type(config).__name__,
)
def test_int8_is_green(config, dtype):
    assert_green(examine(in_int8(tiny_model("llama", dtype), config)))


@pytest.mark.parametrize(
    "wrap",
    [with_lora, lambda model: torch.compile(model, backend="eager")],
    ids=["lora", "compiled"],
)
def test_a_wrapped_model_is_green(wrap):
    assert_green(examine(wrap(tiny_model("qwen2"))))


@pytest.mark.parametrize(
    ("options", "skipped"),
    [
        ({"use_cache": False}, ("head", "cache")),
        ({"cache_implementation": "static"}, ("head",)),
        ({"temperature": 0.7, "top_k": 5, "repetition_penalty": 1.2}, ("head",)),
        ({"num_return_sequences": 1, "max_new_tokens": 1}, ("head",)),
        ({"stop_strings": ["n", "e?"]}, ("head",)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_way_of_sampling_is_the_users(options, skipped):
    assert_green(examine(tiny_model("llama"), **options), skipped)


@pytest.mark.parametrize(
    "changes", [{"gated": False}, {"layers": [0, 2]}, {"scored_tokens": "response"}], ids=str
)
def test_any_head_that_fits_is_green(changes):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        head = RewardHead(4, 32, **changes)
    assert_green(examine(tiny_model("llama"), head=head), skipped=())


def test_a_template_of_parts_is_read_as_it_asks():
    template = (
        "{% for message in messages %}<{{ message.role }}>{% for part in message.content %}"
        "{{ part.text }}{% endfor %}</s>{% endfor %}{% if add_generation_prompt %}<assistant>"
        "{% endif %}{% if thinks %}Let me see.{% endif %}"
    )
    report = examine(
        tiny_model("llama"), tiny_tokenizer(template), chat_template_kwargs={"thinks": True}
    )
    assert_green(report)


def test_nothing_is_left_behind():
    model = tiny_model("llama")
    hooks = hooks_of(model)
    state = torch.random.get_rng_state()
    examine(model, max_new_tokens=3)
    assert len(hooks_of(model)) - len(hooks) in (0, len(hooks_of(tiny_after_states())))
    assert not any(module.training for module in model.modules())
    assert torch.equal(torch.random.get_rng_state(), state)


def tiny_after_states():
    """Transformers leaves hooks of its own on a model that was asked for its states."""
    model = tiny_model("llama")
    ids = torch.tensor([[7, 8]], dtype=torch.int64)
    model(input_ids=ids, output_hidden_states=True)
    return model


@pytest.fixture(scope="module")
def embedded():
    return load_model(device="cpu")


SHORT = {"prompts": ["Hi.", "Name a warm colour."], "max_new_tokens": 2}
# Without the system message, which is three quarters of a short prompt.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def examine_embedded(model, tokenizer, head=None):
    tokenizer.chat_template = TEMPLATE
    return examine(model, tokenizer, head, **SHORT)


def test_the_embedded_model_is_green(embedded):
    model, tokenizer = embedded
    assert_green(examine(model, tokenizer, load_head(), **SHORT), skipped=())


def test_in_bfloat16_it_is_green():
    model, tokenizer = load_model(device="cpu", dtype="bfloat16")
    assert_green(examine_embedded(model, tokenizer, load_head()), skipped=())


def test_in_int8_it_is_green():
    model, tokenizer = load_model(device="cpu")
    assert_green(examine_embedded(in_int8(model, Int8WeightOnlyConfig()), tokenizer))


def test_with_a_lora_it_is_green(embedded):
    model, tokenizer = embedded  # the last to use it: a LoRA stays in the layers
    assert_green(examine_embedded(with_lora(model), tokenizer))
