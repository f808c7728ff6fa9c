"""What the rules of `family_shapes` cannot know about a family."""

from typing import Any

HYBRID = {"attn_layer_period": 2, "attn_layer_offset": 1}
SLIDING = {
    "swa_num_attention_heads": 4,
    "swa_num_key_value_heads": 4,
    "swa_q_lora_rank": 8,
    "swa_kv_lora_rank": 8,
    "swa_head_dim": 16,
    "swa_qk_nope_head_dim": 8,
    "swa_v_head_dim": 8,
}
M_ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}
INDEXER = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 8,
    "indexer_budget": 4,
    "indexer_compress_ratio": 2,
}

CHANGES: dict[str, dict[str, Any]] = {
    "apertus1p5": {
        "image_token_offset": 66,
        "vision_config.codebook_size": 8,
        "audio_token_offset": 74,
        "audio_config.codebook_size": 8,
        "audio_config.codebook_dim": 32,
    },
    "bamba": {"attn_layer_indices": [1]},
    "blenderbot": {"encoder_layers": 3},
    "chameleon": {"vocabulary_map": {"<image>": 95}},
    "deepseek_v2": {"n_group": 1, "topk_group": 1},
    "cohere_compass_text": {"rope_parameters": {"full_attention": M_ROPE}},
    "cohere_compass": {"text_config.rope_parameters": {"full_attention": M_ROPE}},
    "dbrx": {"attn_config.rope_theta": 10_000.0, "attn_config.clip_qkv": 8.0},
    "deepseek_ocr2": {
        "text_config.mlp_layer_types": ["dense", "sparse", "sparse"],
        "text_config.n_group": 1,
        "text_config.topk_group": 1,
    },
    "diffusion_gemma": {
        "text_config.num_experts": 4,
        "text_config.top_k_experts": 2,
        "text_config.moe_intermediate_size": 16,
    },
    "dots3_note_text": SLIDING,
    "dots3_note": {
        **{f"text_config.{name}": value for name, value in SLIDING.items()},
        "vision_config.adapter_in_dim": 32,
        "vision_config.adapter_out_dim": 32,
        "audio_config.adapter_input_size": 32,
        "audio_config.adapter_out_dim": 32,
    },
    "dots1": {"n_shared_experts": 1},
    "dory": {
        "n_input_layers": 1,
        "n_recurrent_layers": 2,
        "n_output_layers": 1,
        "num_hidden_layers": 4,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "emu3": {"vocabulary_map": {"<image>": 95}},
    "ernie4_5_vl_moe": {
        "text_config.moe_intermediate_size": [16, 16],
        "text_config.moe_num_experts": 4,
    },
    "gemma3n_text": {
        "num_kv_shared_layers": 1,
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "num_hidden_layers": 3,
        "intermediate_size": [48] * 3,
        "activation_sparsity_pattern": [0.5, 0.0, 0.0],
    },
    "gemma4_assistant": {
        "text_config.hidden_size_per_layer_input": 0,
        "text_config.vocab_size_per_layer_input": 0,
        "text_config.num_kv_shared_layers": 3,
    },
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_d_head": 16},
    "gpt_neo": {"num_layers": 4, "attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention", "linear_attention"]},
    "granite4_vision": {
        "deepstack_layer_map": [[1, 1]],
        "spatial_target_layers": [1, 2],
        "vision_config.hidden_size": 64,
        "downsample_rate": "1/2",
    },
    "jamba": HYBRID,
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "longcat_flash": {"num_layers": 2, "head_dim": 8},
    "mamba2": {"head_dim": 16},
    "molmo2": {"adapter_config.vision_feature_layer": [2, 1]},
    "nemotron": {"num_key_value_heads": 2},
    "nemotron_h_omni": {"vision_config.video_temporal_patch_size": 2},
    "paddleocr_vl": {"text_config.rope_parameters": M_ROPE},
    "qwen2_5_omni_thinker": {"vision_start_token_id": 90},
    "qwen3_omni_moe_thinker": {"vision_start_token_id": 90},
    "qwen4_exp_text": INDEXER,
    "qwen4_exp": {f"text_config.{name}": value for name, value in INDEXER.items()},
    "reformer": {"axial_pos_embds_dim": (8, 24), "axial_pos_shape": (16, 32)},
    "step3p7": {"text_config.sliding_window": 4},
    "xlstm": {"hidden_size": 128},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_hidden_layers": 4,
    },
    "zamba2": {
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_hidden_layers": 4,
    },
}
