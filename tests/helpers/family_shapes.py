"""A tiny configuration of any family: each number that is a size made small, by its name."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PreTrainedConfig

from tiny_models import BOS, EOS, PAD, VOCAB

NUM_EMBEDDINGS = len(VOCAB) + 32  # those of pictures and sounds stand above those of the text
NUM_LAYERS = 3
HEAD_DIM = 8
WIDE = 0.2  # standard deviation of weights, so that layers, tokens and positions matter

# What a number of that name becomes where it is larger. The first pattern that matches counts.
SIZES = {
    r"max_position_embeddings|max_seq_len|n_positions|n_ctx|context_length|model_max_length": 512,
    r"max_(target|source)_positions": 512,
    r"(.*_)?vocab_size(_per_layer_input)?": NUM_EMBEDDINGS,
    r"num_(hidden_)?layers|n_layers?|((de|en)coder_)?layers|num_(de|en)coder_layers": NUM_LAYERS,
    r"num_blocks|(.*_)?depth": NUM_LAYERS,
    r"moe.*intermediate_size|expert_ffn_hidden_size|shared_.*intermediate_size": 16,
    r".*intermediate_size.*|.*ffn_dim|.*ffn_hidden_size|mlp_dim|feed_forward_size": 48,
    r"d_ff|dff|dim_ff|n_inner|d_inner": 48,
    r"(.*_)?hidden_size.*|d_model|n_embd|emb(ed)?(ding)?_dim|.*embedding_size": 32,
    r"word_embed_proj_dim|lru_width|projection_dim|text_embed_dim": 32,
    r".*key_value_heads|num_kv_heads|kv_n_heads|num_query_groups": 2,
    r".*attention_heads|n_heads?|num_heads|.*_n_heads|.*num(_key|_value|_mamba)?_heads": 4,
    r"mamba_(d_head|head_?dim)": 2 * HEAD_DIM,  # heads of an expansion by two
    r"(.*_)?(head_?dim|d_head|dim_head|head_size|d_kv|kv_channels)": HEAD_DIM,
    r"rotary_dim": 4,
    r"(.*_)?(lora_)?rank": 8,
    r".*num_(local_|routed_)?experts|n_routed_experts": 4,
    r".*num_experts_per_tok(en)?|moe_top_?k|moe_k": 2,
    r"n_groups": 2,
    r"n_group|topk_group|num_expert_group": 1,
    r"(sliding|attention)_window(_size)?|window_size|attention_chunk_size": 4,
    r"local_attention(_window_len)?|attention_window_size": 4,
    r"first_k_dense_replace|num_dense_layers|moe_layer_start_index": 1,
    r".*_(pattern|interval|period)|global_attn_every_n_layers|layer_group_size": 2,
    r".*state_size|mamba_d_state": 8,
    r".*chunk_size": 8,
    r"image_size": 28,
    r"base_channels|num_filters": 32,
    r"num_res_blocks|num_residual_layers": 1,
}
PATTERNS = [(re.compile(pattern), size) for pattern, size in SIZES.items()]
OF_LAYERS = re.compile("num_hidden_layers|n_layers?|num_layers")
NEEDED = {
    "head_dim": HEAD_DIM,
    "num_experts_per_tok": 2,
    "n_routed_experts": 4,
}  # where not derived
SPREAD = re.compile(r".*(initializer_range|init(ializer)?_std)")
TOKEN_ID = re.compile(r".*_token_(id|index)")
LAYER_INDICES = re.compile(
    r".*_(idxs|ids|indices|indexes)|mlp_only_layers|moe_layers|cross_attention_layers"
)
OF_TEXT = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}


def tiny_config(config: PreTrainedConfig, changes: Mapping[str, Any]) -> PreTrainedConfig:
    """A small one of the same class. What a configuration derives by itself it derives again.

    Args:
        config: the default one.
        changes: what the rules cannot know, by name; `text_config.name` inside of another one.
    """
    free_ids = iter(range(NUM_EMBEDDINGS - 1, len(VOCAB), -1))
    return type(config)(**_small_values(config, changes, free_ids))


def _small_values(
    config: PreTrainedConfig, changes: Mapping[str, Any], free_ids: Iterator[int]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    layers = _kept_layers(config)
    for field in dataclasses.fields(config):
        name = field.name
        value = vars(config).get(config.attribute_map.get(name, name))
        if name in changes:
            values[name] = changes[name]
        elif isinstance(value, PreTrainedConfig):
            start = f"{name}."
            inside = {key[len(start) :]: changes[key] for key in changes if key.startswith(start)}
            values[name] = type(value)(**_small_values(value, inside, free_ids))
        elif name in OF_TEXT:
            values[name] = OF_TEXT[name]
        elif TOKEN_ID.fullmatch(name) and isinstance(value, int):
            values[name] = next(free_ids)
        elif SPREAD.fullmatch(name):
            values[name] = WIDE
        elif isinstance(value, list | tuple):
            values[name] = _of_kept_layers(name, value, layers, _num_layers(config))
        elif value is None:
            values[name] = NEEDED.get(name)
        elif isinstance(value, int) and not isinstance(value, bool):
            if field.default is not None:
                values[name] = _size(name, value)
            if name == "num_key_value_heads" and value == vars(config).get("num_attention_heads"):
                values[name] = _size("num_attention_heads", value)
            if OF_LAYERS.fullmatch(name):
                values[name] = len(layers) or values[name]
    if getattr(config, "rope_parameters", None):
        values["rope_parameters"] = changes.get("rope_parameters") or _rope(config, values)
    return values | {name: value for name, value in changes.items() if "." not in name}


def _size(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return next((min(size, value) for pattern, size in PATTERNS if pattern.fullmatch(name)), value)


def _num_layers(config: PreTrainedConfig) -> int:
    return getattr(config, "num_hidden_layers", None) or 0


def _kept_layers(config: PreTrainedConfig) -> list[int]:
    """Some layers of each kind, at least `NUM_LAYERS`."""
    num_layers = _num_layers(config)
    kinds: list[list[str]] = [[] for _ in range(num_layers)]
    for name, value in vars(config).items():
        if isinstance(value, list | tuple):
            if LAYER_INDICES.fullmatch(name):
                value = [index in value for index in range(num_layers)]
            if len(value) == num_layers:
                for kind, of_layer in zip(kinds, value, strict=True):
                    kind.append(str(of_layer))
    first = {tuple(kind): index for index, kind in reversed(list(enumerate(kinds)))}
    kept = sorted(first.values())
    rest = [index for index in range(num_layers) if index not in kept]
    return sorted(kept + rest[: max(0, NUM_LAYERS - len(kept))])


def _of_kept_layers(name: str, values: Any, layers: list[int], num_layers: int) -> Any:
    if LAYER_INDICES.fullmatch(name):
        return [layers.index(index) for index in values if index in layers]
    if layers and len(values) == num_layers:
        return type(values)(_size(name, values[index]) for index in layers)
    return values


def _rope(config: PreTrainedConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """The rope, with a section of half a head's channels for each of the axes where it has any."""
    rope = dict(config.rope_parameters)
    if rope.get("original_max_position_embeddings"):
        rope["original_max_position_embeddings"] = 256  # less than the longest text
    if "mrope_section" in getattr(config, "ignore_keys_at_rope_validation", ()):
        width = values.get("head_dim") or HEAD_DIM
        half = int(width * rope.get("partial_rotary_factor", 1)) // 2
        rope["mrope_section"] = [half // 4, half // 4, half - half // 4 * 2]
    return rope
