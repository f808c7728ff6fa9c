"""What the features of a token are made of: hidden states, or directions of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swift_bon.features.projection import Projection, Scaling
from swift_bon.models.identity import model_name
from swift_bon.models.sampled_weights import fingerprint
from swift_kernels import RewardHead
from swift_kernels.checks import SCORED_TOKENS, check_choice, check_layers

DEVIATION_FLOOR = 1e-3  # a number that hardly moves is not blown up
FLOAT8_MAX = torch.finfo(torch.float8_e4m3fn).max
SAMPLE_TOKENS = 20_000  # to find a projection from, or moments
PIECE_TOKENS = 2_048  # converted at once, as what is converted is copied
DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8": torch.float8_e4m3fn,
}


@dataclass(frozen=True)
class FeatureSpec:
    """What the features of a token are made of.

    D numbers in B blocks of W: without a projection a block is a layer, `W = H`; with one it is
    what the projection gives, for each layer or for all of them together.
    """

    model: str
    num_layers: int  # hidden states of the model: num_hidden_layers + 1
    hidden_size: int  # H
    layers: tuple[int, ...]  # ascending: the hidden states that were taken
    scored_tokens: str
    dtype: str  # a key of `DTYPES`
    projection: Projection | Scaling | None = None
    fingerprint: str | None = None  # of the model; older stores have none

    @property
    def num_blocks(self) -> int:
        return len(self.layers) if self.projection is None else self.projection.num_blocks

    @property
    def block_size(self) -> int:
        return self.hidden_size if self.projection is None else self.projection.block_size

    @property
    def dim(self) -> int:
        """D, numbers for each token."""
        return self.num_blocks * self.block_size

    @property
    def token_bytes(self) -> int:
        return self.dim * DTYPES[self.dtype].itemsize

    def blocks_of(self, layers: tuple[int, ...] | None) -> list[int]:
        """Which blocks a head over these layers reads.

        Raises:
            TypeError, ValueError: not ascending indices, a layer that was not taken, or a
                projection that mixes layers.
        """
        layers = check_layers(layers, self.num_layers)
        if layers is None or layers == self.layers:
            return list(range(self.num_blocks))
        missing = sorted(set(layers) - set(self.layers))
        if missing:
            raise ValueError(
                f"layers has {missing[0]}, the features have {list(self.layers)}; extract again "
                "with these layers"
            )
        if self.num_blocks != len(self.layers):
            raise ValueError(
                f"layers is {list(layers)}, but the projection of these features mixes all of "
                f"{list(self.layers)}; extract with projection='per_layer', or without one"
            )
        return [self.layers.index(layer) for layer in layers]

    def to_head(
        self, weight: Tensor, bias: Tensor, layers: tuple[int, ...] | None = None
    ) -> RewardHead:
        """The ordinary head with the same scores: exact, as all of this is linear.

        Args:
            weight: `[R, B, W]` over the blocks of `layers`, the reward's row first.
            bias: `[R]`.
            layers: those the head reads; None takes all of the features.
        """
        layers = self.layers if layers is None else layers
        if self.projection is not None:
            weight, bias = self.projection.lift(weight, bias, self.blocks_of(layers))
        is_whole = len(layers) == self.num_layers
        weight = weight.reshape(len(weight), len(layers), self.hidden_size)
        tensors = {"reward_weight": weight[0], "reward_bias": bias[0]}
        if len(weight) == 2:
            tensors |= {"gate_weight": weight[1], "gate_bias": bias[1]}
        return RewardHead.from_tensors(
            tensors,
            self.num_layers,
            self.hidden_size,
            source="the fit",
            gated=len(weight) == 2,
            layers=None if is_whole else layers,
            base_model=self.model,
            base_model_fingerprint=self.fingerprint,
            scored_tokens=self.scored_tokens,
        ).to("cpu")


def feature_spec(
    model: PreTrainedModel,
    layers: Sequence[int] | None,
    scored_tokens: str,
    dtype: str | None,
    is_projected: bool,
) -> FeatureSpec:
    """What features of a model are made of, but for the projection, which is found later."""
    config = model.config.get_text_config(decoder=True)
    num_layers = config.num_hidden_layers + 1
    dtype = dtype or ("float16" if is_projected else "bfloat16")
    return FeatureSpec(
        model=model_name(model),
        num_layers=num_layers,
        hidden_size=config.hidden_size,
        layers=check_layers(layers, num_layers) or tuple(range(num_layers)),
        scored_tokens=check_choice(scored_tokens, SCORED_TOKENS, "scored_tokens"),
        dtype=check_choice(dtype, tuple(DTYPES), "dtype"),
        fingerprint=fingerprint(model),
    )


def encode(layers: Sequence[Tensor], spec: FeatureSpec) -> Tensor:
    """Features `[tokens, D]` in their dtype, of L tensors `[tokens, H]`.

    Raises:
        ValueError: a number is too large for the dtype.
    """
    num_tokens, device = len(layers[0]), layers[0].device
    encoded = torch.empty(num_tokens, spec.dim, dtype=DTYPES[spec.dtype], device=device)
    for start in range(0, num_tokens, PIECE_TOKENS):
        rows = slice(start, start + PIECE_TOKENS)
        encoded[rows] = _encode_piece([layer[rows].to(device) for layer in layers], spec)
    return encoded


def _encode_piece(layers: Sequence[Tensor], spec: FeatureSpec) -> Tensor:
    projection = spec.projection
    values = torch.cat(tuple(layers), dim=1) if projection is None else projection.apply(layers)
    if spec.dtype == "float8":
        values = values.clamp(-FLOAT8_MAX, FLOAT8_MAX)  # some versions make NaN of more
    encoded = values.to(DTYPES[spec.dtype])
    summable = encoded.float() if spec.dtype == "float8" else encoded
    if not summable.sum(dtype=torch.float64).isfinite():
        what, remedy = "hidden states reach", "take bfloat16, or a projection"
        if projection is not None:
            what, remedy = "projected hidden states reach", "take bfloat16"
        raise ValueError(
            f"{what} {float(values.abs().max()):.3g}, more than {spec.dtype} can hold; {remedy}"
        )
    return encoded
