"""What is compiled ahead of time: kernels, dtypes and shapes."""

from typing import NamedTuple

import torch


class Case(NamedTuple):
    kernel: str  # "score", "step" or "gradient"
    dtype: torch.dtype = torch.bfloat16
    hidden_size: int = 4096
    num_layers: int = 3  # few, where nothing depends on it: faster to compile
    num_candidates: int = 16
    num_tokens: int = 512  # in all, where packed
    gated: bool = True
    masked: bool = True
    packed: bool = False
    flat: bool = True  # gradient: the rows of all candidates lie at one distance
    aligned: bool = True
    aligned_weights: bool = True


FLOAT32, FLOAT16 = torch.float32, torch.float16
UNALIGNED = {"aligned": False}
ANY_ADDRESS = {"aligned": False, "aligned_weights": False}

CASES = {
    "score": Case("score", num_layers=33),
    "score_float16": Case("score", FLOAT16),
    "score_float32": Case("score", FLOAT32, num_layers=33),
    "score_896_unmasked": Case("score", hidden_size=896, masked=False),
    "score_ungated": Case("score", gated=False),
    "score_packed": Case("score", num_tokens=8192, packed=True),
    "score_packed_unmasked": Case("score", num_tokens=8192, packed=True, masked=False),
    "score_16_rows": Case("score", num_tokens=1),
    "score_32_rows": Case("score", num_tokens=32),
    "score_float32_32_rows": Case("score", FLOAT32, 24, num_tokens=1, gated=False),
    "score_unaligned": Case("score", **UNALIGNED),
    "score_unaligned_any": Case("score", **ANY_ADDRESS),
    "score_unaligned_577": Case("score", FLOAT32, 577, num_tokens=8192, packed=True, **UNALIGNED),
    "step": Case("step", num_layers=33),
    "step_64_rows": Case("step", num_candidates=256),
    "step_float32": Case("step", FLOAT32, 896, num_candidates=1),
    "step_float16_ungated": Case("step", FLOAT16, num_candidates=64, gated=False),
    "step_unaligned": Case("step", num_candidates=64, **UNALIGNED),
    "step_unaligned_any": Case("step", num_candidates=64, **ANY_ADDRESS),
    "gradient": Case("gradient", num_layers=33),
    "gradient_float32_ungated": Case("gradient", FLOAT32, gated=False),
    "gradient_float32": Case("gradient", FLOAT32, 896),
    "gradient_strided": Case("gradient", FLOAT16, flat=False),
    "gradient_16_rows": Case("gradient", num_candidates=1, num_tokens=1),
    "gradient_unaligned": Case("gradient", **UNALIGNED),
    "gradient_unaligned_577": Case("gradient", hidden_size=577, flat=False, **UNALIGNED),
}
