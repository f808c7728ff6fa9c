"""Tiny random models of many architectures, and a tokenizer for them, built in memory."""

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

SPECIAL_TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "<user>", "<assistant>"]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,?!:"
VOCAB = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *LETTERS])}  # 64 tokens
PAD, BOS, EOS = 0, 1, 2
CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)

SHAPE = {
    "vocab_size": len(VOCAB),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,  # wide, so that layers, tokens and candidates differ
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
}
WINDOW = {"sliding_window": 4}  # shorter than the prompts of the tests

# Architecture: class prefix and what differs from SHAPE.
ARCHITECTURES = {
    "llama": ("Llama", {}),
    "mistral": ("Mistral", WINDOW),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 8}),
    "gemma2": ("Gemma2", {"head_dim": 8, **WINDOW}),
    "gemma3": ("Gemma3", {"head_dim": 8, **WINDOW}),
    "phi3": ("Phi3", {}),
    "gpt2": ("GPT2", {}),
    "gpt_neox": ("GPTNeoX", {}),
    "olmo2": ("Olmo2", {}),
    "mixtral": ("Mixtral", {"num_local_experts": 4}),
    "qwen3_moe": (
        "Qwen3Moe",
        {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    ),
    "opt": ("OPT", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "falcon": ("Falcon", {}),
    "cohere": ("Cohere", {}),
    "gptj": ("GPTJ", {"rotary_dim": 4}),
    "bloom": ("Bloom", {}),
    "phi": ("Phi", {}),
    "gpt_bigcode": ("GPTBigCode", {}),
    "llama4": ("Llama4", {"head_dim": 8, "intermediate_size_mlp": 48, "num_local_experts": 2}),
    "smollm3": ("SmolLM3", {}),
    "granite": ("Granite", {}),
    "starcoder2": ("Starcoder2", WINDOW),
    "gpt_oss": (
        "GptOss",
        {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, **WINDOW},
    ),
    "deepseek_v3": (
        "DeepseekV3",
        {
            "num_key_value_heads": 4,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 8,
            "v_head_dim": 8,
            "kv_lora_rank": 8,
            "q_lora_rank": 8,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "moe_intermediate_size": 16,
        },
    ),
    "lfm2": ("Lfm2", {"layer_types": ["conv", "full_attention", "conv"]}),
}
CONFIG_NAMES = {"Gemma3": "Gemma3TextConfig", "Llama4": "Llama4TextConfig"}
MODEL_NAMES = {"GPT2": "GPT2LMHeadModel"}


def tiny_model(name: str, dtype: torch.dtype = torch.float32, seed: int = 0, **changes):
    """A random model of an architecture out of `ARCHITECTURES`, in evaluation mode."""
    prefix, differences = ARCHITECTURES[name]
    config_class = getattr(transformers, CONFIG_NAMES.get(prefix, f"{prefix}Config"))
    model_class = getattr(transformers, MODEL_NAMES.get(prefix, f"{prefix}ForCausalLM"))
    return build(model_class, config_class(**{**SHAPE, **differences, **changes}), dtype, seed)


def build(model_class, config, dtype: torch.dtype = torch.float32, seed: int = 0):
    """Any random model, without touching the caller's random stream."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: PreTrainedModel = model_class(config)
        for parameter in model.parameters():
            if parameter.dim() == 1:  # biases and norms start at 0 or 1 and would hide mistakes
                torch.nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.1)
    return model.to(dtype).eval()


def tiny_tokenizer(chat_template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    """One token per character, padding on the left."""
    tokenizer = Tokenizer(models.WordLevel(VOCAB, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<user>", "<assistant>"],
        padding_side="left",
    )
    fast.chat_template = chat_template
    return fast
