"""The numbers of a head, as the code that scores with them sees them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from swift_kernels.checks import FEATURES, check_choice, check_count, check_flag, check_layers

MAX_NUMBERS = 2**40  # in the hidden states of one token; no model comes near


class HeadWeights(nn.Module):
    """Weights and biases of the reward and of the gate, all float32.

    `reward_weight [L, H]`, `reward_bias []`, and with a gate `gate_weight [L, H]`, `gate_bias []`;
    L counts the selected layers.

    Args:
        num_layers: hidden states the model returns: `num_hidden_layers + 1`.
        hidden_size: H.
        gated: False leaves the gate out.
        layers: ascending indices of the hidden states that are read; None reads all.
        feature: what they weigh, "hidden_states" or "logits".

    Raises:
        TypeError, ValueError: naming the argument.
    """

    def __init__(
        self,
        num_layers: int,
        hidden_size: int,
        *,
        gated: bool,
        layers: Sequence[int] | None,
        feature: str,
    ):
        super().__init__()
        self.num_layers = check_count(num_layers, "num_layers")
        self.hidden_size = check_count(hidden_size, "hidden_size")
        self.gated = check_flag(gated, "gated")
        self.layers = check_layers(layers, num_layers)
        self.feature = check_choice(feature, FEATURES, "feature")
        shape = (self.num_selected, hidden_size)
        if shape[0] * shape[1] > MAX_NUMBERS:
            raise ValueError(
                f"num_layers is {num_layers} and hidden_size is {hidden_size}, expected those of a "
                f"model: at most {MAX_NUMBERS} numbers together"
            )
        device = torch.get_default_device()  # the caller's wish, as for any module
        self.reward_weight = nn.Parameter(torch.empty(shape, dtype=torch.float32, device=device))
        self.reward_bias = nn.Parameter(torch.empty((), dtype=torch.float32, device=device))
        self.gate_weight = nn.Parameter(torch.empty_like(self.reward_weight)) if gated else None
        self.gate_bias = nn.Parameter(torch.empty_like(self.reward_bias)) if gated else None
        self.reset_parameters()

    @property
    def num_selected(self) -> int:
        """Layers that are read."""
        return self.num_layers if self.layers is None else len(self.layers)

    @property
    def weights(self) -> list[Tensor]:
        """R of `[L, H]`: the reward's, then the gate's where there is one."""
        return [weight for weight in (self.reward_weight, self.gate_weight) if weight is not None]

    @property
    def biases(self) -> list[Tensor]:
        """R of `[]`, likewise."""
        return [bias for bias in (self.reward_bias, self.gate_bias) if bias is not None]

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(L*H), as `nn.Linear` over the concatenated states."""
        bound = (self.num_selected * self.hidden_size) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def stacked_weight(self) -> Tensor:
        """float32 `[R, L, H]`."""
        return torch.stack(self.weights).float()

    def kernel_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Reward's weight and bias, gate's weight and bias: float32, contiguous, differentiable."""
        return (
            self.reward_weight.float().contiguous(),
            self.reward_bias.float().contiguous(),
            None if self.gate_weight is None else self.gate_weight.float().contiguous(),
            None if self.gate_bias is None else self.gate_bias.float().contiguous(),
        )
