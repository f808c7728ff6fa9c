"""What people put around a model without changing what it computes."""

import peft
import torch
from torch import nn


class PassesOn(nn.Module):
    """A module that only passes its arguments on."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


def in_a_module(model):
    """Around the decoder, as offloading and quantisation libraries do."""
    prefix = model.base_model_prefix
    setattr(model, prefix, PassesOn(getattr(model, prefix)))
    return model


def in_an_outer_module(model):
    return PassesOn(model)


def with_replaced_forward(model):
    inner = model.forward
    model.forward = lambda *args, **kwargs: inner(*args, **kwargs)
    return model


def with_lora(model):
    """One that was not trained: B = 0."""
    config = peft.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        return peft.get_peft_model(model, config).eval()


def compiled(model):
    return torch.compile(model, backend="eager")


WRAPPERS = [in_a_module, in_an_outer_module, with_replaced_forward, with_lora, compiled]
