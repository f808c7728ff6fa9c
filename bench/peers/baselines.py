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

SIZE = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
SIZE += ("num_attention_heads", "num_key_value_heads", "max_position_embeddings")
SIZES = {
    "Mistral-7B": (32_000, 4096, 14_336, 32, 32, 8, 32_768),
    "Llama-3.1-8B": (128_256, 4096, 14_336, 32, 32, 8, 131_072),
    "Llama-2-7B": (32_000, 4096, 11_008, 32, 32, 32, 4096),
    "Llama-2-13B": (32_000, 5120, 13_824, 40, 40, 40, 4096),
    "Qwen3-1.7B": (151_936, 2048, 6144, 28, 16, 8, 40_960),
    "Llama-3.2-3B": (128_256, 3072, 8192, 28, 24, 8, 131_072),
    "Ministral-8B": (131_072, 4096, 12_288, 36, 32, 8, 32_768),
}
COMMON = {"head_dim": 128, "rms_norm_eps": 1e-5, "tie_word_embeddings": False}
LLAMA_ROPE = {  # Llama 3.1's; 3.2 stretches it further
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
QWEN_ROPE = {"rope_type": "default", "rope_theta": 1_000_000.0}
MINISTRAL_ROPE = {"rope_type": "default", "rope_theta": 100_000_000.0}
TIED = {"tie_word_embeddings": True}
UNREACHED = {"sliding_window": 32_768}  # so the full layers need no telling apart
KINDS = {
    "Mistral-7B": (MistralConfig, {"sliding_window": 4096}),
    "Llama-3.1-8B": (LlamaConfig, {"rope_parameters": LLAMA_ROPE}),
    "Llama-2-7B": (LlamaConfig, {}),
    "Llama-2-13B": (LlamaConfig, {}),
    "Qwen3-1.7B": (Qwen3Config, {"rope_parameters": QWEN_ROPE, "rms_norm_eps": 1e-6, **TIED}),
    "Llama-3.2-3B": (LlamaConfig, {"rope_parameters": LLAMA_ROPE | {"factor": 32.0}, **TIED}),
    "Ministral-8B": (MistralConfig, {"rope_parameters": MINISTRAL_ROPE, **UNREACHED}),
}
CONFIGS: dict[str, PreTrainedConfig] = {
    name: kind(**dict(zip(SIZE, SIZES[name], strict=True)) | COMMON | own)
    for name, (kind, own) in KINDS.items()
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

    @property
    def source(self) -> str:
        """Where its card or configuration is."""
        return f"https://huggingface.co/{HUB_IDS[self.name]}"


HUB_IDS = {
    "Eurus-RM-7b": "openbmb/Eurus-RM-7b",
    "Math-Shepherd 7B PRM": "peiyi9979/math-shepherd-mistral-7b-prm",
    "Skywork-Reward-Llama-3.1-8B": "Skywork/Skywork-Reward-Llama-3.1-8B",
    "RLHFlow Llama3.1-8B-PRM": "RLHFlow/Llama3.1-8B-PRM-Deepseek-Data",
    "Starling-RM-7B-alpha": "berkeley-nest/Starling-RM-7B-alpha",
    "UltraRM-13b": "openbmb/UltraRM-13b",
    "Skywork-Reward-V2-Qwen3-1.7B": "Skywork/Skywork-Reward-V2-Qwen3-1.7B",
}
REWARD_MODELS = (
    RewardModel("Eurus-RM-7b", "Mistral-7B", "scalar"),
    RewardModel("Math-Shepherd 7B PRM", "Mistral-7B", "step tags"),
    RewardModel("Skywork-Reward-Llama-3.1-8B", "Llama-3.1-8B", "scalar"),
    RewardModel("RLHFlow Llama3.1-8B-PRM", "Llama-3.1-8B", "step tags"),
    RewardModel("Starling-RM-7B-alpha", "Llama-2-7B", "scalar"),
    RewardModel("UltraRM-13b", "Llama-2-13B", "scalar"),
    RewardModel("Skywork-Reward-V2-Qwen3-1.7B", "Qwen3-1.7B", "scalar"),
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
