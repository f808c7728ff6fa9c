"""A model's tensors under the bare model's names, and what adapters add to them.

PEFT need not be installed: its layers are known by what they hold, a layer of the model.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from transformers.pytorch_utils import Conv1D

from swift_bon.models.interrupts import in_evaluation_mode
from swift_bon.models.wrappers import bare_model, learns_prompts, uncompiled_model

ROUNDING = 4  # steps of the dtype, by which an adapter without effect may be off
INSIDE = {"base_layer": "adapter_layer_names", "original_module": "active_adapters"}
STATE = ("active_adapters", "merged_adapters", "disable_adapters", "scaling", "parameter_name")


class Adapter(NamedTuple):
    """A layer that PEFT put around one of the model's."""

    name: str  # of the model's layer, with the dot behind it
    around: nn.Module
    inside: nn.Module  # the model's layer
    parameters: Mapping[str, Tensor]  # those of the adapter

    @property
    def state(self) -> str:
        """What decides, beside all numbers, what it does."""
        return str([getattr(self.around, name, None) for name in STATE])


def walk(model: Any) -> tuple[dict[str, Tensor], list[Adapter]]:
    """Parameters and persistent buffers by name, and the adapters among the layers."""
    tensors: dict[str, Tensor] = {}
    adapters: list[Adapter] = []
    _visit(bare_model(model), "", tensors, adapters)
    return tensors, adapters


def _visit(
    module: nn.Module, prefix: str, tensors: dict[str, Tensor], adapters: list[Adapter]
) -> None:
    inside = _inside(module)
    if inside is None:
        for name, parameter in module._parameters.items():
            if parameter is not None:
                tensors[prefix + name] = parameter
        for name, buffer in module._buffers.items():
            if buffer is not None and name not in module._non_persistent_buffers_set:
                tensors[prefix + name] = buffer
        for name, child in module._modules.items():
            if child is not None:
                _visit(child, f"{prefix}{name}.", tensors, adapters)
        return
    if not isinstance(module, OptimizedModule):
        theirs = {id(tensor) for tensor in inside.parameters()}
        parameters = {n: p for n, p in module.named_parameters() if id(p) not in theirs}
        adapters.append(Adapter(prefix, module, inside, parameters))
    _visit(inside, prefix, tensors, adapters)


def _inside(module: nn.Module) -> nn.Module | None:
    """The layer of the model that another one stands around."""
    if isinstance(module, OptimizedModule):
        return module._orig_mod
    for name, mark in INSIDE.items():
        if name in module._modules and hasattr(module, mark):
            return module._modules[name]
    return None


def prompt_weights(model: Any) -> dict[str, Tensor]:
    """What prompt and prefix tuning write before each prompt: no layer has it."""
    if not learns_prompts(model):
        return {}
    model = uncompiled_model(model)
    encoder = model.prompt_encoder[model.active_adapter]
    return {f"prompt_encoder.{name}": tensor for name, tensor in encoder.named_parameters()}


@torch.no_grad()
def added_values(
    adapter: Adapter, positions: Callable[[int], Sequence[int]]
) -> dict[str, Tensor] | None:
    """`[samples]` what an adapter adds to a weight, by its name; None where that is nothing.

    The layer itself is asked, whatever the kind of its adapter: an input that is one in a single
    place gives a column of its weight. "Nothing" is up to the rounding of that.

    Args:
        positions: which numbers of a flattened weight of some size.
    """
    inside: Any = adapter.inside
    around = adapter.around
    if not isinstance(adapter.inside, nn.Linear | Conv1D | nn.Embedding) or inside.weight.is_meta:
        return _added_deltas(adapter, positions)
    weight = inside.weight
    is_linear = isinstance(adapter.inside, nn.Linear)  # its weight is [out, in], others' [in, out]
    shape = (inside.out_features, inside.in_features) if is_linear else tuple(weight.shape)
    flat = torch.tensor(positions(math.prod(shape)), dtype=torch.int64, device="cpu")
    first, second = flat // shape[1], flat % shape[1]
    given, taken = (second, first) if is_linear else (first, second)
    inputs = given
    if not isinstance(inside, nn.Embedding):
        inputs = torch.zeros(len(flat), shape[is_linear], dtype=torch.float32, device="cpu")
        inputs[torch.arange(len(flat), device="cpu", dtype=torch.int64), given] = 1
        inputs = inputs.to(weight.dtype if weight.is_floating_point() else torch.float32)
    inputs = inputs.to(weight.device)[None]
    # without dropout
    before, after = in_evaluation_mode(around, lambda: (inside(inputs), around(inputs)))
    step = torch.finfo(before.dtype).eps * ROUNDING
    before, after = before[0].to("cpu", torch.float32), after[0].to("cpu", torch.float32)
    if bool(((after - before).abs() <= step * before.abs().max()).all()):
        return None
    return {f"{adapter.name}weight": (after - before).gather(1, taken[:, None])[:, 0]}


def _added_deltas(
    adapter: Adapter, positions: Callable[[int], Sequence[int]]
) -> dict[str, Tensor] | None:
    """The same of a layer that is no matrix: what PEFT would merge, or else its own numbers."""
    around: Any = adapter.around
    active = list(getattr(around, "active_adapters", ()))
    if getattr(around, "disable_adapters", False) or getattr(around, "merged_adapters", ()):
        return None
    if any(tensor.is_meta for tensor in adapter.parameters.values()):
        return None
    name = f"{adapter.name}{getattr(around, 'parameter_name', 'weight')}"
    rows = {f"{adapter.name}{n}": t.detach().flatten() for n, t in adapter.parameters.items()}
    if hasattr(around, "get_delta_weight"):
        deltas = [around.get_delta_weight(one).flatten() for one in active if _has(around, one)]
        rows = {name: torch.stack(deltas).sum(0)} if deltas else {}
        if not any(bool(row.any()) for row in rows.values()):
            return None
    return {n: row[list(positions(len(row)))].to("cpu", torch.float32) for n, row in rows.items()}


def _has(around: Any, adapter: str) -> bool:
    """Whether a layer has an adapter of this name; others may have been given to other layers."""
    return any(adapter in getattr(around, kind) for kind in around.adapter_layer_names)
