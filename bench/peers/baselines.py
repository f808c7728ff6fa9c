"""The reward models that SWIFT is compared with, and the models whose states it reads.

Facts from published configurations; the weights are random, for FLOPs and latency do not depend
on their values. A reward model that added a token to its base's vocabulary differs from the base
by less than 0.01% of the parameters; the base's vocabulary stands here.
"""

import copy
from typing import NamedTuple

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

LLAMA_3_ROPE = {  # Llama 3.1's; 3.2 stretches it further
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "Mistral-7B": MistralConfig(
        vocab_size=32_000,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=32_768,
        sliding_window=4096,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    ),
    "Llama-3.1-8B": LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=131_072,
        rope_parameters=LLAMA_3_ROPE,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    ),
    "Llama-2-7B": LlamaConfig(
        vocab_size=32_000,
        hidden_size=4096,
        intermediate_size=11_008,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        head_dim=128,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    ),
    "Llama-2-13B": LlamaConfig(
        vocab_size=32_000,
        hidden_size=5120,
        intermediate_size=13_824,
        num_hidden_layers=40,
        num_attention_heads=40,
        num_key_value_heads=40,
        head_dim=128,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    ),
    "Qwen3-1.7B": Qwen3Config(
        vocab_size=151_936,
        hidden_size=2048,
        intermediate_size=6144,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=40_960,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
    ),
    "Llama-3.2-3B": LlamaConfig(
        vocab_size=128_256,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=28,
        num_attention_heads=24,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=131_072,
        rope_parameters={**LLAMA_3_ROPE, "factor": 32.0},
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    ),
    "Ministral-8B": MistralConfig(
        vocab_size=131_072,
        hidden_size=4096,
        intermediate_size=12_288,
        num_hidden_layers=36,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=32_768,
        sliding_window=32_768,  # never reached here, so the full layers need no telling apart
        rope_parameters={"rope_type": "default", "rope_theta": 100_000_000.0},
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    ),
}

SCORE_READ = {
    "scalar": "a linear layer to one number in place of the language-model head",
    "step tags": "logits of + and - at the step tags; the language-model head runs on every token",
}


class RewardModel(NamedTuple):
    """A published reward model, one forward pass over prompt and response per candidate."""

    name: str
    base: str  # key of CONFIGS
    score_read: str  # key of SCORE_READ
    source: str  # where its card or configuration is


HUB = "https://huggingface.co/"
REWARD_MODELS = (
    RewardModel("Eurus-RM-7b", "Mistral-7B", "scalar", HUB + "openbmb/Eurus-RM-7b"),
    RewardModel(
        "Math-Shepherd 7B PRM",
        "Mistral-7B",
        "step tags",
        HUB + "peiyi9979/math-shepherd-mistral-7b-prm",
    ),
    RewardModel(
        "Skywork-Reward-Llama-3.1-8B",
        "Llama-3.1-8B",
        "scalar",
        HUB + "Skywork/Skywork-Reward-Llama-3.1-8B",
    ),
    RewardModel(
        "RLHFlow Llama3.1-8B-PRM",
        "Llama-3.1-8B",
        "step tags",
        HUB + "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data",
    ),
    RewardModel(
        "Starling-RM-7B-alpha", "Llama-2-7B", "scalar", HUB + "berkeley-nest/Starling-RM-7B-alpha"
    ),
    RewardModel("UltraRM-13b", "Llama-2-13B", "scalar", HUB + "openbmb/UltraRM-13b"),
    RewardModel(
        "Skywork-Reward-V2-Qwen3-1.7B",
        "Qwen3-1.7B",
        "scalar",
        HUB + "Skywork/Skywork-Reward-V2-Qwen3-1.7B",
    ),
)
POLICIES = ("Llama-3.2-3B", "Llama-3.1-8B", "Ministral-8B")  # keys of CONFIGS: SWIFT's models


def config_of(base: str, *, small: bool = False) -> PreTrainedConfig:
    """A copy of a published configuration; `small` keeps the kind of model, not its size."""
    config = copy.deepcopy(CONFIGS[base])
    config.num_labels = 1
    config.pad_token_id = 0  # a classifier needs one to find the last token of each row
    if small:
        has_groups = config.num_key_value_heads < config.num_attention_heads
        config.vocab_size, config.hidden_size, config.intermediate_size = 256, 64, 96
        config.num_hidden_layers, config.head_dim = 2, 16
        if getattr(config, "layer_types", None) is not None:
            config.layer_types = config.layer_types[:2]
        config.num_attention_heads, config.num_key_value_heads = 4, 2 if has_groups else 4
    return config


def build_reward_model(
    model: RewardModel, device: torch.device | str, *, small: bool = False
) -> PreTrainedModel:
    """Random bfloat16 weights of a reward model, in the form that its score is read from."""
    kind = {"scalar": AutoModelForSequenceClassification, "step tags": AutoModelForCausalLM}
    return _build(kind[model.score_read], config_of(model.base, small=small), device)


def build_policy(
    policy: str, device: torch.device | str, *, small: bool = False
) -> PreTrainedModel:
    """Random bfloat16 weights of a language model whose states SWIFT reads."""
    return _build(AutoModelForCausalLM, config_of(policy, small=small), device)


def _build(kind: type, config: PreTrainedConfig, device: torch.device | str) -> PreTrainedModel:
    with torch.device(device):  # never in the memory of the host, never in float32
        model = kind.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa")
    return model.to(device).eval().requires_grad_(False)
