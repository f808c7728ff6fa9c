"""The head as the paper's code computes it: the peer of every benchmark."""

import torch

from swift_kernels import RewardHead


class EagerHead(torch.nn.Module):
    """The form of the paper's code, on `[N, T, L * H]`."""

    def __init__(self, head: RewardHead):
        super().__init__()
        self.linear = torch.nn.Linear(head.num_layers * head.hidden_size, 2)
        with torch.no_grad():
            self.linear.weight.copy_(head.stacked_weight().flatten(1))
            self.linear.bias.copy_(torch.stack([head.reward_bias, head.gate_bias]))

    def forward(self, hidden_states):
        concatenated = torch.cat([layer.float() for layer in hidden_states], dim=-1)
        reward, gate = self.linear(concatenated).unbind(-1)
        gate = gate.sigmoid()
        return (gate * reward).sum(-1) / gate.sum(-1).clamp(min=1e-8)
